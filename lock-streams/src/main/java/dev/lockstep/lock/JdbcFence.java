package dev.lockstep.lock;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
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
 * transaction ends. Thread-safe.
 *
 * <p>Source: Kleppmann, "How to do distributed locking", 2016.
 */
public final class JdbcFence {

  private static final String REQUIRE =
      "INSERT INTO lockstep_fence AS f (lock_key, token)"
          + " SELECT * FROM unnest(?::text[], ?::bigint[])"
          + " ON CONFLICT (lock_key) DO UPDATE SET token = excluded.token"
          + " WHERE f.token <= excluded.token RETURNING lock_key";

  private JdbcFence() {}

  /**
   * Creates the table if it is missing.
   *
   * @param dataSource PostgreSQL
   * @throws LockException when the database refuses
   */
  public static void migrate(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(
          "CREATE TABLE IF NOT EXISTS lockstep_fence"
              + " (lock_key text PRIMARY KEY, token bigint NOT NULL)");
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
    // in one order everywhere: two transactions with the same keys must not wait for each other
    TreeMap<String, Long> sorted = new TreeMap<>(tokens);
    int accepted = 0;
    try (PreparedStatement statement = connection.prepareStatement(REQUIRE)) {
      Array keys = connection.createArrayOf("text", sorted.keySet().toArray());
      Array values = connection.createArrayOf("bigint", sorted.values().toArray());
      statement.setArray(1, keys);
      statement.setArray(2, values);
      try (ResultSet rows = statement.executeQuery()) {
        while (rows.next()) {
          accepted++;
        }
      }
    }
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
