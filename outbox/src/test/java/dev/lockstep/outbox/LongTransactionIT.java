package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Transactions that stay open neither stop the relay nor fill its table with dead rows. */
class LongTransactionIT {

  private static final int WRITERS = 4;
  private static final int TRANSACTIONS = 280;
  private static final int ROWS = 20;
  private static final int ROLLED_BACK_OF = 9;

  @TempDir Path directory;

  @Test
  void everythingElseIsDeliveredAndOnlyRolledBackRowsAreDead() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        // nobody clears up what is counted below
        PostgresServer postgres =
            PostgresServer.start(directory.resolve("pg"), Map.of("autovacuum", "off"));
        OutboxWorld world = new OutboxWorld(cluster, postgres, "longtx")) {
      String exactly = world.createTopic("long-exactly", 1, Map.of());
      String express = world.createTopic("long-express", 1, Map.of());
      world.outbox.register(exactly, Lane.EXACTLY_ONCE, 0);
      world.outbox.register(express, Lane.EXPRESS, 1);
      var unused = postgres.createDatabase("neighbour");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options);
          Connection here = open(world.dataSource.getConnection(), "SELECT pg_current_xact_id()");
          Connection reader =
              open(world.dataSource.getConnection(), "SELECT count(*) FROM lockstep_outbox");
          Connection neighbour =
              open(
                  postgres.dataSource("neighbour").getConnection(),
                  "SELECT pg_current_xact_id()")) {
        // it has its place in the order, long before all others
        world.outbox.publish(here, message(exactly, "late", "1"));

        int rolledBack = write(world, exactly, express);

        int each = (WRITERS * TRANSACTIONS * ROWS - rolledBack) / 2;
        assertThat(2 * each).isGreaterThanOrEqualTo(19_000);
        soon(() -> assertThat(world.records(exactly)).hasSize(each));
        soon(() -> assertThat(world.readOnce(express)).hasSize(each));
        assertOrder(world.read(exactly));
        assertOrder(world.readOnce(express));
        assertThat(relay.health().isHealthy()).isTrue();

        assertThat(world.number(statistics("n_tup_upd + n_tup_del"))).isZero();
        assertThat(world.number(statistics("n_dead_tup"))).isLessThanOrEqualTo(rolledBack);
        here.commit();
        soon(() -> assertThat(world.read(exactly)).hasSize(each + 1).contains("late=1"));
        reader.rollback();
        neighbour.rollback();
      }
    }
  }

  /** Each writer has two keys, one of each lane; returns how many rows were rolled back. */
  private static int write(OutboxWorld world, String exactly, String express) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(WRITERS);
    HikariConfig own = new HikariConfig();
    own.setJdbcUrl(world.dataSource.getJdbcUrl());
    own.setMaximumPoolSize(WRITERS);
    int rolledBack = 0;
    try (HikariDataSource pool = new HikariDataSource(own)) {
      Outbox outbox = new Outbox(pool);
      List<Future<Integer>> running = new ArrayList<>();
      for (int writer = 0; writer < WRITERS; writer++) {
        String key = "k" + writer;
        running.add(threads.submit(() -> write(outbox, pool, key, exactly, express)));
      }
      for (Future<Integer> one : running) {
        rolledBack += one.get();
      }
    } finally {
      threads.shutdownNow();
    }
    // a session that ends reports what it counted
    long stored = (long) WRITERS * TRANSACTIONS * ROWS;
    soon(() -> assertThat(world.number(statistics("n_tup_ins"))).isGreaterThanOrEqualTo(stored));
    return rolledBack;
  }

  private static int write(
      Outbox outbox, HikariDataSource pool, String key, String exactly, String express)
      throws SQLException {
    int rolledBack = 0;
    int version = 0;
    for (int transaction = 0; transaction < TRANSACTIONS; transaction++) {
      boolean commits = transaction % ROLLED_BACK_OF != 0;
      int next = version;
      try (Connection connection = pool.getConnection()) {
        connection.setAutoCommit(false);
        for (int row = 0; row < ROWS / 2; row++) {
          next++;
          outbox.publish(connection, message(exactly, key, "" + next));
          outbox.publish(connection, message(express, key, "" + next));
        }
        if (commits) {
          connection.commit();
          version = next;
        } else {
          connection.rollback();
          rolledBack += ROWS;
        }
      }
    }
    return rolledBack;
  }

  private static String statistics(String what) {
    return "SELECT sum(%s) FROM pg_stat_user_tables WHERE relid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'lockstep_outbox'::regclass)"
        .formatted(what);
  }

  private static Connection open(Connection connection, String sql) throws SQLException {
    connection.setAutoCommit(false);
    connection.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
    return connection;
  }

  private static void assertOrder(List<String> records) {
    Map<String, List<Integer>> found = new HashMap<>();
    for (String record : records) {
      String[] parts = record.split("=", -1);
      found.computeIfAbsent(parts[0], key -> new ArrayList<>()).add(Integer.parseInt(parts[1]));
    }
    assertThat(found).hasSize(WRITERS);
    found.forEach(
        (key, versions) ->
            assertThat(versions)
                .as(key)
                .isEqualTo(IntStream.rangeClosed(1, versions.size()).boxed().toList()));
  }
}
