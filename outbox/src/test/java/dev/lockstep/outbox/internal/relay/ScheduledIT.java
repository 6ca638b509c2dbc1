package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import javax.sql.DataSource;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Delayed messages beside a reconcile. */
class ScheduledIT {

  @TempDir Path directory;

  @Test
  void nothingIsMovedFromTheMomentOnThatAReconcileBegins() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      postgres.createDatabase("scheduled");
      DataSource dataSource = postgres.dataSource("scheduled");
      new Outbox(dataSource).migrate();
      Scheduled scheduled = new Scheduled(dataSource, Dialect.POSTGRESQL);
      try (Connection connection = dataSource.getConnection();
          Statement statement = connection.createStatement()) {
        statement.execute("INSERT INTO lockstep_outbox_topic (topic, lane) VALUES ('t', 0)");
        publish(statement);
        assertThat(scheduled.moveDue()).isEqualTo(1);
        publish(statement);
        connection.setAutoCommit(false);
        statement.execute("UPDATE lockstep_outbox_meta SET positions_topic_id = 'reconciling'");
        CompletableFuture<Integer> moving = CompletableFuture.supplyAsync(() -> move(scheduled));
        await().until(() -> moving.isDone() || waits(dataSource));
        assertThat(moving).isNotDone();
        connection.commit();
        assertThat(moving.get()).isZero();
        assertThat(scheduled.moveDue()).isZero();
        statement.execute("UPDATE lockstep_outbox_meta SET positions_topic_id = 'a topic'");
        connection.commit();
        assertThat(scheduled.moveDue()).isEqualTo(1);
      }
    }
  }

  /** Ten times a second. */
  @Test
  void idleOutboxLocksNothing() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      postgres.createDatabase("idle");
      DataSource dataSource = postgres.dataSource("idle");
      new Outbox(dataSource).migrate();
      Scheduled scheduled = new Scheduled(dataSource, Dialect.POSTGRESQL);
      try (Connection connection = dataSource.getConnection();
          Statement statement = connection.createStatement()) {
        String next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint";
        long before = number(statement, next);
        for (int i = 0; i < 10; i++) {
          assertThat(scheduled.moveDue()).isZero();
        }
        assertThat(number(statement, next)).as("no transaction id is drawn").isEqualTo(before);
      }
    }
  }

  private static void publish(Statement statement) throws SQLException {
    statement.execute("SELECT lockstep_outbox_publish('t', 'k', 'v', '{}', now())");
  }

  private static int move(Scheduled scheduled) {
    try {
      return scheduled.moveDue();
    } catch (SQLException e) {
      throw new CompletionException(e);
    }
  }

  private static boolean waits(DataSource dataSource) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      return number(statement, "SELECT count(*) FROM pg_locks WHERE NOT granted") > 0;
    }
  }

  private static long number(Statement statement, String sql) throws SQLException {
    try (ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
    }
  }
}
