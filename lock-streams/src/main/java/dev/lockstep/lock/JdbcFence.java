package dev.lockstep.lock;

import dev.lockstep.lock.internal.fence.FenceSql;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.sql.DataSource;

/**
 * Checks fencing tokens where the write happens: in the transaction of the write, in the database
 * that it goes to. A holder that was paused past its lock is refused, whatever it believes.
 *
 * <p>Shape: table {@code lockstep_fence} (lock_key, token), one row per key that was ever guarded.
 * One statement, however many keys; works under concurrency, because the row stays locked until the
 * transaction ends. PostgreSQL, MariaDB 10.5 and newer, H2. Thread-safe.
 *
 * <p>Source: Kleppmann, "How to do distributed locking", 2016.
 */
public final class JdbcFence {

  private JdbcFence() {}

  /**
   * Creates the table if it is missing.
   *
   * @param dataSource PostgreSQL, MariaDB or H2
   * @throws LockException when the database refuses
   */
  public static void migrate(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(FenceSql.of(connection).create());
    } catch (SQLException e) {
      throw new LockException("Table lockstep_fence could not be created", e);
    }
  }

  /**
   * Lets the transaction go on only if no higher token was accepted for any of the keys.
   *
   * @param connection open transaction of the write
   * @param tokens fencing token by lock key
   * @throws StaleTokenException when one is stale: roll back, and do not try again with this token
   * @throws SQLException from the database
   */
  public static void require(Connection connection, Map<String, Long> tokens) throws SQLException {
    if (tokens.isEmpty()) {
      return;
    }
    // in one order everywhere: two transactions with the same keys must not wait for each other
    TreeMap<String, Long> sorted = new TreeMap<>(tokens);
    int accepted = FenceSql.of(connection).accept(connection, sorted);
    if (accepted != sorted.size()) {
      throw new StaleTokenException(
          "%d of %d keys were written under a higher token since, among %s: the lock was lost; roll back"
              .formatted(sorted.size() - accepted, sorted.size(), some(sorted)));
    }
  }

  private static List<Map.Entry<String, Long>> some(Map<String, Long> tokens) {
    return tokens.entrySet().stream().limit(5).toList();
  }
}
