package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.outbox.otel.TraceContext;
import dev.lockstep.testkit.postgres.PostgresServer;
import io.opentelemetry.api.GlobalOpenTelemetry;
import io.opentelemetry.api.OpenTelemetry;
import io.opentelemetry.api.trace.Span;
import io.opentelemetry.api.trace.SpanContext;
import io.opentelemetry.api.trace.TraceFlags;
import io.opentelemetry.api.trace.TraceState;
import io.opentelemetry.api.trace.propagation.W3CTraceContextPropagator;
import io.opentelemetry.context.Scope;
import io.opentelemetry.context.propagation.ContextPropagators;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.flywaydb.core.Flyway;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Who commits by himself: nothing is lost at a commit, and nothing survives a rollback. */
class WriterIT {

  private static final String TOPIC = "orders";

  @TempDir static Path directory;
  private static PostgresServer postgres;

  private HikariDataSource pool;
  private Outbox outbox;
  private DataSource publishing;

  @BeforeAll
  static void startServer() {
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServer() {
    postgres.close();
  }

  @BeforeEach
  void createOutbox(TestInfo info) {
    String name = info.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT);
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(postgres.createDatabase(name.substring(0, Math.min(40, name.length()))));
    pool = new HikariDataSource(config);
    outbox = new Outbox(pool);
    outbox.migrate();
    outbox.register(TOPIC, Lane.EXACTLY_ONCE, 0);
    publishing = outbox.publishing();
  }

  @AfterEach
  void closePool() {
    pool.close();
  }

  @Test
  void flywayMigratesAsTheOutboxDoes(@TempDir Path scripts) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(postgres.createDatabase("flyway"));
    try (HikariDataSource own = new HikariDataSource(config);
        Connection connection = own.getConnection();
        Statement statement = connection.createStatement()) {
      // a service has a version 1 of its own
      Files.writeString(scripts.resolve("V1__account.sql"), "CREATE TABLE account (id text);");
      Flyway.configure().dataSource(own).locations("filesystem:" + scripts).load().migrate();
      Flyway.configure()
          .dataSource(own)
          .locations("classpath:dev/lockstep/outbox/migration/postgresql")
          .table("lockstep_outbox_history")
          .baselineOnMigrate(true)
          .baselineVersion("0")
          .load()
          .migrate();
      statement.execute("SELECT id FROM account");
      Outbox migrated = new Outbox(own);
      migrated.migrate();
      migrated.register(TOPIC, Lane.EXACTLY_ONCE, 0, PoisonPolicy.PARK);
      migrated.register(TOPIC, Lane.EXACTLY_ONCE, 0);
      try (ResultSet policy =
          statement.executeQuery("SELECT on_poison FROM lockstep_outbox_topic")) {
        policy.next();
        assertThat(policy.getInt(1)).as("kept").isEqualTo(PoisonPolicy.PARK.code());
      }
      migrated.inTransaction(tx -> tx.publish(message(TOPIC, "a", "1")));
      assertThat(new OutboxAdmin(own).status().rows()).isEqualTo(1);
    }
  }

  /** What the page says to writers in other languages. */
  @Test
  void statementOfTheReferenceWorks() throws Exception {
    String page = Files.readString(Path.of("..", "docs", "reference", "outbox.md"));
    String statement = page.substring(page.indexOf("```sql") + 6);
    try (Connection connection = pool.getConnection();
        Statement call = connection.createStatement()) {
      call.execute(statement.substring(0, statement.indexOf("```")));
    }
    assertThat(new OutboxAdmin(pool).status().scheduled()).isEqualTo(1);
  }

  @Test
  void whatIsPublishedIsStoredAtTheCommitAndTold() throws Exception {
    AtomicInteger told = new AtomicInteger();
    outbox.onCommit(told::incrementAndGet);
    try (Connection connection = publishing.getConnection()) {
      connection.setAutoCommit(false);
      outbox.publish(connection, message(TOPIC, "a", "1"));
      assertThat(stored()).isEmpty();
      connection.commit();
      assertThat(stored()).containsExactly("1");
      outbox.publish(connection, message(TOPIC, "a", "2"));
      // commits, as JDBC says
      connection.setAutoCommit(true);
      assertThat(stored()).containsExactly("1", "2");
      connection.setAutoCommit(false);
      connection.commit();
    }
    assertThat(told).hasValue(2);
  }

  /** Stored at once it would have gone before what was published first. */
  @Test
  void bothWaysToPublishKeepOneOrder() throws Exception {
    outbox.inTransaction(
        tx -> {
          tx.publish(message(TOPIC, "a", "1"));
          outbox.publish(tx.connection(), message(TOPIC, "a", "2"));
          tx.publish(message(TOPIC, "a", "3"));
          assertThat(stored()).isEmpty();
        });
    assertThat(stored()).containsExactly("1", "2", "3");
  }

  @Test
  void nothingSurvivesARollbackOrAConnectionThatIsClosed() throws Exception {
    try (Connection connection = publishing.getConnection()) {
      connection.setAutoCommit(false);
      outbox.publish(connection, message(TOPIC, "a", "dropped"));
      connection.rollback();
      outbox.publish(connection, message(TOPIC, "a", "1"));
      Savepoint outer = connection.setSavepoint();
      outbox.publish(connection, message(TOPIC, "a", "dropped"));
      Savepoint inner = connection.setSavepoint("inner");
      outbox.publish(connection, message(TOPIC, "a", "dropped"));
      connection.rollback(inner);
      connection.rollback(outer);
      outbox.publish(connection, message(TOPIC, "a", "2"));
      connection.commit();
      outbox.publish(connection, message(TOPIC, "a", "dropped"));
    }
    try (Connection connection = publishing.getConnection()) {
      connection.setAutoCommit(false);
      connection.commit();
    }
    assertThat(stored()).containsExactly("1", "2");
  }

  @Test
  void poolMayLieOnTop() throws Exception {
    HikariConfig config = new HikariConfig();
    config.setDataSource(publishing);
    config.setMaximumPoolSize(2);
    try (HikariDataSource above = new HikariDataSource(config);
        Connection connection = above.getConnection()) {
      connection.setAutoCommit(false);
      outbox.publish(connection, message(TOPIC, "a", "1"));
      assertThat(stored()).isEmpty();
      connection.commit();
      assertThat(stored()).containsExactly("1");
    }
  }

  /** The pool saw no statement, rolled nothing back, and its reset of auto-commit committed it. */
  @Test
  void whatIsAbandonedInAPoolOnTopIsDropped() throws Exception {
    HikariConfig config = new HikariConfig();
    config.setDataSource(publishing);
    config.setMaximumPoolSize(1);
    try (HikariDataSource above = new HikariDataSource(config)) {
      try (Connection connection = above.getConnection()) {
        connection.setAutoCommit(false);
        outbox.publish(connection, message(TOPIC, "a", "abandoned"));
      }
      assertThat(stored()).isEmpty();
      try (Connection connection = above.getConnection()) {
        connection.setAutoCommit(false);
        connection.commit();
      }
      assertThat(stored()).isEmpty();
    }
  }

  @Test
  void rowsThatNoRelayCouldReadAreRefused() throws Exception {
    for (String headers :
        List.of("ARRAY['who', NULL]", "ARRAY['who']", "ARRAY[['who', 'sql'], ['a', 'b']]")) {
      try (Connection connection = pool.getConnection();
          Statement statement = connection.createStatement()) {
        assertThatThrownBy(
                () ->
                    statement.execute(
                        "SELECT lockstep_outbox_publish('%s', 'a', 'x', %s)"
                            .formatted(TOPIC, headers)))
            .as(headers)
            .isInstanceOf(SQLException.class)
            .hasMessageContaining("check constraint");
      }
    }
  }

  @Test
  void poolMayGiveOutConnectionsThatDoNotCommit() throws Exception {
    HikariConfig config = new HikariConfig();
    config.setDataSource(pool);
    config.setAutoCommit(false);
    try (HikariDataSource manual = new HikariDataSource(config)) {
      Outbox other = new Outbox(manual);
      other.register("more-orders", Lane.EXPRESS, 0);
      other.inTransaction(tx -> tx.publish(message("more-orders", "a", "1")));
    }
    assertThat(stored()).containsExactly("1");
    outbox.inTransaction(tx -> tx.publish(message("more-orders", "a", "2")));
    assertThat(stored()).containsExactly("1", "2");
  }

  @Test
  void connectionThatNobodyWrappedStoresAtOnce() throws Exception {
    try (Connection connection = pool.getConnection()) {
      connection.setAutoCommit(false);
      outbox.publish(connection, message(TOPIC, "a", "1"));
      connection.commit();
      Savepoint savepoint = connection.setSavepoint();
      outbox.publish(connection, message(TOPIC, "a", "dropped"));
      connection.rollback(savepoint);
      connection.commit();
      connection.setAutoCommit(true);
      assertThatThrownBy(() -> outbox.publish(connection, message(TOPIC, "a", "2")))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("outside a transaction");
    }
    assertThat(stored()).containsExactly("1");
  }

  @Test
  void firstFailureIsHeardOfAlsoWhenTheConnectionIsGone() {
    assertThatThrownBy(
            () ->
                outbox.inTransaction(
                    tx -> {
                      try (Statement statement = tx.connection().createStatement()) {
                        statement.execute("SELECT pg_terminate_backend(pg_backend_pid())");
                      }
                    }))
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("terminating connection");
  }

  @Test
  void keysThatNoRowStandsForAreHeldUntilTheCommit() throws Exception {
    Outbox strict = new Outbox(pool, KeyOrder.ADVISORY_LOCK);
    try (Connection first = pool.getConnection();
        Connection second = pool.getConnection();
        Connection other = pool.getConnection()) {
      for (Connection connection : List.of(first, second, other)) {
        connection.setAutoCommit(false);
      }
      strict.publish(first, message(TOPIC, "a", "1"));
      CompletableFuture<Void> waits =
          CompletableFuture.runAsync(
              () -> {
                try {
                  strict.publish(second, message(TOPIC, "a", "2"));
                  second.commit();
                } catch (SQLException e) {
                  throw new IllegalStateException(e);
                }
              });
      strict.publish(other, message(TOPIC, "b", "other"));
      other.commit();
      await().until(this::someoneWaitsForALock);
      assertThat(waits).isNotDone();
      first.commit();
      assertThat(waits).succeedsWithin(Duration.ofSeconds(20));
      assertThat(stored()).containsSubsequence("1", "2").contains("other");
    }
  }

  private boolean someoneWaitsForALock() throws SQLException {
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")) {
      row.next();
      return row.getInt(1) == 1;
    }
  }

  private List<String> stored() throws SQLException {
    List<String> stored = new ArrayList<>();
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT convert_from(payload, 'UTF8') FROM lockstep_outbox ORDER BY seq")) {
      while (row.next()) {
        stored.add(row.getString(1));
      }
    }
    return stored;
  }

  @Test
  void tracesGoOnBehindTheOutboxAndHeadersOfAMessageStay() throws Exception {
    GlobalOpenTelemetry.resetForTest();
    GlobalOpenTelemetry.set(
        OpenTelemetry.propagating(
            ContextPropagators.create(W3CTraceContextPropagator.getInstance())));
    String trace = "0af7651916cd43dd8448eb211c80319c";
    Span span =
        Span.wrap(
            SpanContext.create(
                trace, "b7ad6b7169203331", TraceFlags.getSampled(), TraceState.getDefault()));
    outbox.addHeaders(TraceContext::headers);
    try (Scope scope = span.makeCurrent()) {
      outbox.inTransaction(
          tx -> {
            tx.publish(OutboxMessage.of(TOPIC, "traced", new byte[1]));
            tx.publish(
                OutboxMessage.of(TOPIC, "own", new byte[1]).withHeader("traceparent", "mine"));
          });
    } finally {
      GlobalOpenTelemetry.resetForTest();
    }
    outbox.inTransaction(tx -> tx.publish(OutboxMessage.of(TOPIC, "untraced", new byte[1])));
    assertThat(headers("traced")).isEqualTo("{traceparent,00-" + trace + "-b7ad6b7169203331-01}");
    assertThat(headers("own")).isEqualTo("{traceparent,mine}");
    assertThat(headers("untraced")).isEqualTo("{}");
  }

  private String headers(String key) throws SQLException {
    try (Connection connection = pool.getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT headers::text FROM lockstep_outbox WHERE msg_key = convert_to(?, 'UTF8')")) {
      select.setString(1, key);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        return row.getString(1);
      }
    }
  }
}
