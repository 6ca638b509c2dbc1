package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;

/**
 * Rows of a shard that are committed and not published.
 *
 * @param rows counted up to {@link #MOST}
 * @param oldestMillis age of the first of them, by the database's clock; 0: there is none
 */
record Backlog(int rows, long oldestMillis) {

  static final Backlog NONE = new Backlog(0, 0);

  /** Counting on would cost as much as publishing. */
  static final int MOST = 10_000;

  private static final String OPEN = "SELECT created_at FROM lockstep_outbox WHERE shard = ? ";

  /** Behind a window; those that ended since the last one, and those that began. */
  private static final String BETWEEN =
      "("
          + OPEN
          + "AND xid >= pg_snapshot_xmax(?::pg_snapshot) ORDER BY xid LIMIT ?) UNION ALL ("
          + OPEN
          + "AND xid IN (SELECT pg_snapshot_xip(?::pg_snapshot)) LIMIT ?)";

  private static final String IN_WINDOW =
      OPEN
          + "AND seq > ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
          + " AND NOT pg_visible_in_snapshot(xid, ?::pg_snapshot) ORDER BY seq LIMIT ?";

  /** The table is often analyzed when it is empty, and then sorted as a whole for these few. */
  private static final List<String> PLAN =
      List.of(
          "plan_cache_mode = force_custom_plan",
          "enable_seqscan = off",
          "enable_bitmapscan = off",
          "enable_sort = off");

  /** Asks the database, on a connection that commits each statement. */
  static Backlog of(Connection connection, int shard, RelayPosition position) throws SQLException {
    Dialect dialect = Dialect.of(connection);
    if (!dialect.hasSnapshots()) {
      try (PreparedStatement select = select(connection, dialect, OPEN + "ORDER BY seq LIMIT ?")) {
        select.setInt(1, shard);
        select.setInt(2, MOST);
        return read(select);
      }
    }
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      for (String plan : PLAN) {
        statement.execute("SET LOCAL " + plan);
      }
      return between(connection, dialect, shard, position);
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
  }

  private static Backlog between(
      Connection connection, Dialect dialect, int shard, RelayPosition position)
      throws SQLException {
    if (position.window().isEmpty()) {
      try (PreparedStatement select = select(connection, dialect, BETWEEN)) {
        for (int part = 0; part < 2; part++) {
          select.setInt(3 * part + 1, shard);
          select.setString(3 * part + 2, position.prev());
          select.setInt(3 * part + 3, MOST);
        }
        return read(select);
      }
    }
    try (PreparedStatement select = select(connection, dialect, IN_WINDOW)) {
      select.setInt(1, shard);
      select.setLong(2, position.lastSeq());
      select.setString(3, position.window());
      select.setString(4, position.prev());
      select.setInt(5, MOST);
      return read(select);
    }
  }

  private static PreparedStatement select(Connection connection, Dialect dialect, String rows)
      throws SQLException {
    return connection.prepareStatement(
        "SELECT count(*), "
            + dialect.now()
            + " - "
            + dialect.millis("min(created_at)")
            + " FROM ("
            + rows
            + ") b");
  }

  private static Backlog read(PreparedStatement select) throws SQLException {
    try (ResultSet row = select.executeQuery()) {
      row.next();
      int rows = Math.min(MOST, row.getInt(1));
      return rows == 0 ? NONE : new Backlog(rows, Math.max(0, row.getLong(2)));
    }
  }
}
