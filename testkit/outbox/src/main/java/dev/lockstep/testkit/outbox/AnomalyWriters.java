package dev.lockstep.testkit.outbox;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.SQLTransientException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Writes to an outbox so that transactions overtake each other: rollbacks, savepoints that are
 * rolled back, transactions that take their id early and commit late, transactions that were
 * prepared, and short ones between them. The same seed makes the same choices; threads interleave
 * as they will.
 *
 * <p>Shape: table {@code anomaly_account} (key, version) in the data source's schema. Each message
 * raises its key's version under the row's lock and is {@code key version}.
 */
public final class AnomalyWriters {

  private static final long RETRY_MS = 20;

  /** Thrown to roll back on purpose. */
  private static final class OnPurpose extends SQLException {
    private static final long serialVersionUID = 1L;
  }

  /**
   * How much of what.
   *
   * @param seed of all choices
   * @param writers threads, 1 to 64
   * @param keys that they share, 1 to 100,000
   * @param rollbackPercent transactions that are rolled back
   * @param savepointPercent transactions of which a part is rolled back
   * @param lingerPercent transactions that take their id first and commit up to 50 ms later
   * @param preparedPercent transactions that are prepared, and committed or rolled back later
   * @param longest of the few transactions that stay open for long; zero: none do
   */
  public record Mix(
      long seed,
      int writers,
      int keys,
      int rollbackPercent,
      int savepointPercent,
      int lingerPercent,
      int preparedPercent,
      Duration longest) {

    /**
     * The mix that finds most: 8 writers, 60 keys, 12 % rolled back.
     *
     * @param seed of all choices
     * @return mix
     */
    public static Mix of(long seed) {
      return new Mix(seed, 8, 60, 12, 10, 15, 3, Duration.ofMillis(700));
    }

    /**
     * Returns the mix for a database without prepared transactions.
     *
     * @return changed copy
     */
    public Mix withoutPrepared() {
      return new Mix(
          seed, writers, keys, rollbackPercent, savepointPercent, lingerPercent, 0, longest);
    }
  }

  private final Mix mix;
  private final DataSource dataSource;
  private final OutboxUnderTest outbox;
  private final AtomicLong prepared = new AtomicLong();
  private final LongAdder transactions = new LongAdder();
  private final LongAdder rolledBack = new LongAdder();

  /**
   * Makes writers; nothing is written yet.
   *
   * @param mix how much of what
   * @param dataSource where {@code anomaly_account} lives; as many connections as writers, and one
   * @param outbox what is tested
   */
  public AnomalyWriters(Mix mix, DataSource dataSource, OutboxUnderTest outbox) {
    this.mix = mix;
    this.dataSource = dataSource;
    this.outbox = outbox;
  }

  /**
   * Creates the table and its keys.
   *
   * @throws SQLException from the database
   */
  public void prepare() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      try (Statement create = connection.createStatement()) {
        create.execute(
            "CREATE TABLE anomaly_account"
                + " (account_key varchar(40) PRIMARY KEY, version bigint NOT NULL)");
        create.execute("CREATE TABLE anomaly_other (n integer NOT NULL)");
      }
      try (PreparedStatement insert =
          connection.prepareStatement("INSERT INTO anomaly_account VALUES (?, 0)")) {
        for (int i = 0; i < mix.keys(); i++) {
          insert.setString(1, key(i));
          insert.addBatch();
        }
        insert.executeBatch();
      }
    }
  }

  /**
   * Writes for a while, as fast as it goes.
   *
   * @param length how long
   * @throws SQLException when a writer failed, other than by a server that was away
   * @throws InterruptedException when interrupted
   */
  public void run(Duration length) throws SQLException, InterruptedException {
    ExecutorService threads = Executors.newFixedThreadPool(mix.writers());
    long end = System.nanoTime() + length.toNanos();
    try {
      List<Future<@Nullable Void>> running = new ArrayList<>();
      for (int i = 0; i < mix.writers(); i++) {
        Random random = new Random(mix.seed() * 1_000 + i);
        running.add(
            threads.submit(
                () -> {
                  while (System.nanoTime() < end) {
                    transaction(random);
                    transactions.increment();
                  }
                  return null;
                }));
      }
      for (Future<@Nullable Void> one : running) {
        one.get();
      }
    } catch (ExecutionException e) {
      throw new SQLException("A writer failed: " + e.getCause(), e);
    } finally {
      threads.shutdownNow();
    }
    if (!threads.awaitTermination(30, TimeUnit.SECONDS)) {
      throw new SQLException("Writers did not end");
    }
  }

  /**
   * Returns how many transactions ran, those rolled back included.
   *
   * @return transactions
   */
  public long transactions() {
    return transactions.sum();
  }

  /**
   * Returns how many of them were rolled back or failed for a while.
   *
   * @return transactions
   */
  public long rolledBack() {
    return rolledBack.sum();
  }

  /**
   * Returns what is committed.
   *
   * @return highest version of each key
   * @throws SQLException from the database
   */
  public Map<String, Long> committed() throws SQLException {
    Map<String, Long> versions = new TreeMap<>();
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery("SELECT account_key, version FROM anomaly_account")) {
      while (rows.next()) {
        versions.put(rows.getString(1), rows.getLong(2));
      }
    }
    return versions;
  }

  private void transaction(Random random) throws SQLException {
    int kind = random.nextInt(100);
    try {
      if (kind < mix.preparedPercent()) {
        prepared(random);
      } else {
        outbox.inTransaction((connection, publisher) -> plain(random, connection, publisher));
      }
    } catch (OnPurpose e) {
      // rolled back, as it was meant to be
      rolledBack.increment();
    } catch (UnsupportedOperationException e) {
      // then without prepared transactions
      rolledBack.increment();
    } catch (SQLException e) {
      if (!isTransient(e)) {
        throw e;
      }
      // whether it is committed stands in the accounts
      rolledBack.increment();
      pause(RETRY_MS);
    }
  }

  /** Deadlocks, which savepoints make here, and a server that is away. */
  private static boolean isTransient(SQLException e) {
    String state = e.getSQLState();
    return e instanceof SQLTransientException
        || (state != null
            && (state.startsWith("40") || state.startsWith("08") || state.startsWith("57")));
  }

  private void plain(Random random, Connection connection, OutboxUnderTest.Publisher publisher)
      throws SQLException {
    boolean lingers = random.nextInt(100) < mix.lingerPercent();
    if (lingers) {
      // the transaction has its id now; others overtake it
      takeId(connection, random);
      pause(random.nextInt(50));
    }
    int held = bumpSome(random, 0, connection, publisher);
    if (random.nextInt(100) < mix.savepointPercent()) {
      Savepoint before = connection.setSavepoint();
      // a row that a savepoint gives back must not be taken before one that is kept
      int tried = bumpSome(random, held, connection, publisher);
      connection.rollback(before);
      var unused = bumpSome(random, tried, connection, publisher);
    }
    if (!mix.longest().isZero() && random.nextInt(500) == 0) {
      pause(mix.longest().toMillis());
    } else if (lingers) {
      pause(random.nextInt(20));
    }
    if (random.nextInt(100) < mix.rollbackPercent()) {
      throw new OnPurpose();
    }
  }

  private void prepared(Random random) throws SQLException {
    String name = "anomaly_" + mix.seed() + "_" + prepared.incrementAndGet();
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        var unused =
            bumpSome(random, 0, connection, (key, value) -> outbox.publish(connection, key, value));
        statement.execute("PREPARE TRANSACTION '" + name + "'");
        connection.commit();
      } catch (SQLException | UnsupportedOperationException e) {
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(true);
      }
      pause(random.nextInt(100));
      try (Statement statement = connection.createStatement()) {
        statement.execute(
            (random.nextBoolean() ? "COMMIT" : "ROLLBACK") + " PREPARED '" + name + "'");
      }
    }
  }

  /**
   * Upwards from a key, which may be one that is held: so writers do not lock each other out.
   * Returns the last.
   */
  private int bumpSome(
      Random random, int from, Connection connection, OutboxUnderTest.Publisher publisher)
      throws SQLException {
    TreeSet<Integer> keys = new TreeSet<>();
    int count = 1 + random.nextInt(3);
    for (int i = 0; i < count; i++) {
      keys.add(from + random.nextInt(mix.keys() - from));
    }
    for (int key : keys) {
      long version = bump(connection, key(key));
      publisher.publish(key(key), key(key) + " " + version);
    }
    return keys.last();
  }

  private long bump(Connection connection, String key) throws SQLException {
    try (PreparedStatement update =
            connection.prepareStatement(
                "UPDATE anomaly_account SET version = version + 1 WHERE account_key = ?");
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT version FROM anomaly_account WHERE account_key = ?")) {
      update.setString(1, key);
      update.executeUpdate();
      select.setString(1, key);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        return row.getLong(1);
      }
    }
  }

  private void takeId(Connection connection, Random random) throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement("INSERT INTO anomaly_other VALUES (?)")) {
      insert.setInt(1, random.nextInt());
      insert.executeUpdate();
    }
  }

  private static String key(int number) {
    return "key-" + number;
  }

  private static void pause(long millis) {
    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(millis));
  }
}
