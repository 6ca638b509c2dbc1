package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.junit.jupiter.api.TestInfo;

/** A database with an outbox, a table of accounts, and what tests of writers look at. */
final class OutboxDatabase implements AutoCloseable {

  static final String TOPIC = "accounts";

  final String url;
  final HikariDataSource pool;

  OutboxDatabase(PostgresServer postgres, TestInfo test) throws SQLException {
    this(postgres, test.getTestMethod().orElseThrow().getName());
  }

  OutboxDatabase(PostgresServer postgres, String name) throws SQLException {
    String lower = name.toLowerCase(Locale.ROOT);
    this.url = postgres.createDatabase(lower.substring(0, Math.min(40, lower.length())));
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(url);
    this.pool = new HikariDataSource(config);
    Outbox outbox = new Outbox(pool);
    outbox.migrate();
    outbox.register(TOPIC, Lane.EXACTLY_ONCE, 0);
    execute(
        """
        CREATE TABLE account (id text PRIMARY KEY, balance bigint NOT NULL);
        INSERT INTO account VALUES ('a', 0);
        CREATE TABLE inserted (statement serial);
        CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS
          'BEGIN INSERT INTO inserted DEFAULT VALUES; RETURN NULL; END';
        CREATE TRIGGER count_statement AFTER INSERT ON lockstep_outbox
          FOR EACH STATEMENT EXECUTE FUNCTION count_statement();
        """);
  }

  /** An outbox on a data source of this database that counts the commits it is told of. */
  static Outbox counting(DataSource dataSource, AtomicInteger told) {
    Outbox outbox = new Outbox(dataSource);
    outbox.onCommit(told::incrementAndGet);
    return outbox;
  }

  static OutboxMessage ofAccount(String value) {
    return message(TOPIC, "a", value);
  }

  /** Payloads in the order in which they will be published. */
  List<String> stored() {
    return texts("SELECT convert_from(payload, 'UTF8') FROM lockstep_outbox ORDER BY seq");
  }

  /** How many statements stored them. */
  int statements() {
    return texts("SELECT statement FROM inserted").size();
  }

  long balance() {
    return Long.parseLong(texts("SELECT balance FROM account").get(0));
  }

  void execute(String sql) throws SQLException {
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  /**
   * Runs a writer against one that has locked the row of the key and commits first. The writer must
   * draw its number when it has the lock, else it is published first.
   *
   * @param writer changes the account 'a' and publishes "second"
   */
  void assertNumberIsDrawnBehindTheLock(Runnable writer) throws SQLException {
    try (Connection first = pool.getConnection();
        Statement statement = first.createStatement()) {
      first.setAutoCommit(false);
      statement.execute("SELECT FROM account WHERE id = 'a' FOR UPDATE");
      CompletableFuture<Void> second = CompletableFuture.runAsync(writer);
      await().until(() -> second.isDone() || someoneWaitsForALock());
      assertThat(second).isNotDone();
      new Outbox(pool).publish(first, ofAccount("first"));
      first.commit();
      assertThat(second).succeedsWithin(Duration.ofSeconds(20));
    }
    assertThat(stored()).containsExactly("first", "second");
  }

  private boolean someoneWaitsForALock() {
    return !texts("SELECT pid FROM pg_locks WHERE NOT granted").isEmpty();
  }

  private List<String> texts(String query) {
    List<String> texts = new ArrayList<>();
    try (Connection connection = pool.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(query)) {
      while (row.next()) {
        texts.add(row.getString(1));
      }
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
    return texts;
  }

  @Override
  public void close() {
    pool.close();
  }
}
