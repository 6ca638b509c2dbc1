package dev.lockstep.lock.internal.fence;

import dev.lockstep.lock.LockException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collections;
import java.util.Map;
import java.util.SortedMap;

/**
 * The one statement that accepts tokens, as each database spells it. It leaves the rows locked
 * until the transaction ends, so a lower token cannot come in between.
 */
public enum FenceSql {
  /** Accepted rows are returned. */
  POSTGRESQL(
      "CREATE TABLE IF NOT EXISTS lockstep_fence (lock_key text PRIMARY KEY, token bigint NOT NULL)",
      "INSERT INTO lockstep_fence AS f (lock_key, token) SELECT * FROM unnest(?::text[], ?::bigint[])"
          + " ON CONFLICT (lock_key) DO UPDATE SET token = excluded.token"
          + " WHERE f.token <= excluded.token RETURNING lock_key") {
    @Override
    public int accept(Connection connection, SortedMap<String, Long> tokens) throws SQLException {
      try (PreparedStatement statement = connection.prepareStatement(accept)) {
        statement.setArray(1, connection.createArrayOf("text", tokens.keySet().toArray()));
        statement.setArray(2, connection.createArrayOf("bigint", tokens.values().toArray()));
        int accepted = 0;
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            accepted++;
          }
        }
        return accepted;
      }
    }
  },

  /** The higher token stays, and is returned; 10.5 and newer. */
  MARIADB(
      "CREATE TABLE IF NOT EXISTS lockstep_fence"
          + " (lock_key varchar(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY,"
          + " token bigint NOT NULL) ENGINE=InnoDB",
      "INSERT INTO lockstep_fence (lock_key, token) VALUES %s"
          + " ON DUPLICATE KEY UPDATE token = GREATEST(token, VALUES(token))"
          + " RETURNING lock_key, token") {
    @Override
    public int accept(Connection connection, SortedMap<String, Long> tokens) throws SQLException {
      try (PreparedStatement statement =
          connection.prepareStatement(accept.formatted(repeat("(?, ?)", ", ", tokens.size())))) {
        bind(statement, tokens);
        int accepted = 0;
        try (ResultSet rows = statement.executeQuery()) {
          while (rows.next()) {
            Long own = tokens.get(rows.getString(1));
            accepted += own != null && own == rows.getLong(2) ? 1 : 0;
          }
        }
        return accepted;
      }
    }
  },

  /** Accepted rows are counted. */
  H2(
      "CREATE TABLE IF NOT EXISTS lockstep_fence"
          + " (lock_key varchar(256) PRIMARY KEY, token bigint NOT NULL)",
      "MERGE INTO lockstep_fence f USING (%s) s ON f.lock_key = s.k"
          + " WHEN MATCHED AND f.token <= s.t THEN UPDATE SET token = s.t"
          + " WHEN NOT MATCHED THEN INSERT (lock_key, token) VALUES (s.k, s.t)") {
    @Override
    public int accept(Connection connection, SortedMap<String, Long> tokens) throws SQLException {
      String row = "SELECT CAST(? AS varchar) AS k, CAST(? AS bigint) AS t";
      try (PreparedStatement statement =
          connection.prepareStatement(
              accept.formatted(repeat(row, " UNION ALL ", tokens.size())))) {
        bind(statement, tokens);
        return statement.executeUpdate();
      }
    }
  };

  private final String create;

  /** With a place for the rows where the database has no arrays; never anything from outside. */
  final String accept;

  FenceSql(String create, String accept) {
    this.create = create;
    this.accept = accept;
  }

  /**
   * Finds the one for a database.
   *
   * @throws LockException when there is none
   */
  public static FenceSql of(Connection connection) throws SQLException {
    String product = connection.getMetaData().getDatabaseProductName();
    return switch (product) {
      case "PostgreSQL" -> POSTGRESQL;
      case "MariaDB" -> MARIADB;
      case "H2" -> H2;
      default ->
          throw new LockException(
              "JdbcFence knows PostgreSQL, MariaDB and H2, not '%s': compare tokens in a statement of your own"
                  .formatted(product));
    };
  }

  /** Returns the statement that makes the table. */
  public String create() {
    return create;
  }

  /** Accepts tokens in the order of their keys, at least one; returns how many were not stale. */
  public abstract int accept(Connection connection, SortedMap<String, Long> tokens)
      throws SQLException;

  private static String repeat(String part, String between, int times) {
    return String.join(between, Collections.nCopies(times, part));
  }

  private static void bind(PreparedStatement statement, SortedMap<String, Long> tokens)
      throws SQLException {
    int i = 1;
    for (Map.Entry<String, Long> entry : tokens.entrySet()) {
      statement.setString(i++, entry.getKey());
      statement.setLong(i++, entry.getValue());
    }
  }
}
