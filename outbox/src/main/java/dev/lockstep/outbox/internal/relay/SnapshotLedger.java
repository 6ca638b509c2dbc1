package dev.lockstep.outbox.internal.relay;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;

/**
 * Reads a shard's rows by the difference of two snapshots, in seq order.
 *
 * <p>A cursor on seq would skip rows whose transaction commits later; a snapshot difference holds
 * each transaction exactly once, and a long transaction stalls nobody (decision 0004). One
 * statement in READ COMMITTED sees one snapshot, the one it returns.
 */
final class Ledger implements AutoCloseable {

  /** What a poll saw: the snapshot, and the first rows that are new in it. */
  record Window(String snapshot, List<LedgerRow> rows, boolean more) {}

  private static final String FROM = LedgerRow.COLUMNS + "FROM lockstep_outbox WHERE shard = ? ";

  /**
   * Transactions that were open at {@code prev} are looked up one by one, and only those that ended
   * since: a thousand open ones cost a comparison.
   */
  private static final String POLL =
      "WITH cur AS MATERIALIZED (SELECT pg_current_snapshot() AS s)"
          + " SELECT cur.s::text AS snapshot, o.* FROM cur LEFT JOIN LATERAL ("
          + bounded(
              "SELECT"
                  + FROM
                  + "AND xid >= pg_snapshot_xmax(?::pg_snapshot)"
                  + " AND xid < pg_snapshot_xmax(cur.s) AND pg_visible_in_snapshot(xid, cur.s)"
                  + " UNION ALL SELECT"
                  + FROM
                  + "AND xid IN (SELECT pg_snapshot_xip(?::pg_snapshot)"
                  + " EXCEPT SELECT pg_snapshot_xip(cur.s))"
                  + " AND pg_visible_in_snapshot(xid, cur.s)")
          + " ) o ON true ORDER BY o.seq";

  private static final String PAGE =
      bounded(
              "SELECT"
                  + FROM
                  + "AND seq > ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
                  + " AND NOT pg_visible_in_snapshot(xid, ?::pg_snapshot)")
          + " ORDER BY seq";

  private static final String UNPUBLISHED =
      bounded("SELECT" + FROM + "AND seq > ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)")
          + " ORDER BY seq";

  private static final List<String> SETTINGS =
      List.of(
          "synchronous_commit",
          "plan_cache_mode",
          "idle_in_transaction_session_timeout",
          "enable_seqscan",
          "enable_bitmapscan");

  private final Connection connection;
  private final int shard;
  private final int lane;

  Ledger(DataSource dataSource, int shard, int lane) throws SQLException {
    this.connection = dataSource.getConnection();
    this.shard = shard;
    this.lane = lane;
    try (Statement statement = connection.createStatement()) {
      connection.setAutoCommit(true);
      // rows aside must not be lost where the position has passed them
      statement.execute("SET synchronous_commit = on");
      // the table is often empty when it is analyzed: a plan made then is bad for a backlog
      statement.execute("SET plan_cache_mode = force_custom_plan");
      // one that stands still in a transaction holds up whoever takes its shard over
      statement.execute("SET idle_in_transaction_session_timeout = '5s'");
      statement.execute("SET enable_seqscan = off");
      statement.execute("SET enable_bitmapscan = off");
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
  }

  /** The first rows by seq, as many as fit; ends with parameters for rows and bytes. */
  static String bounded(String rows) {
    return "SELECT * FROM (SELECT u.*, sum(bytes) OVER (ORDER BY seq) - bytes AS before FROM ("
        + rows
        + " ORDER BY seq LIMIT ?) u) b WHERE before < ?";
  }

  /** The connection that it holds; for statements of the same shard, on the same thread. */
  Connection connection() {
    return connection;
  }

  /** Takes a snapshot and returns the first rows that are visible in it and not in {@code prev}. */
  Window poll(String prev, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(POLL)) {
      select.setInt(1, shard);
      select.setString(2, prev);
      select.setInt(3, shard);
      select.setString(4, prev);
      select.setInt(5, limit + 1);
      select.setLong(6, PageSize.BYTES);
      List<LedgerRow> rows = new ArrayList<>();
      String snapshot = prev;
      try (ResultSet result = select.executeQuery()) {
        while (result.next()) {
          snapshot = result.getString("snapshot");
          if (result.getObject("id") != null) {
            rows.add(LedgerRow.read(result, lane));
          }
        }
      }
      boolean more = rows.size() > limit;
      return new Window(
          snapshot, more ? rows.subList(0, limit) : rows, more || bytes(rows) >= PageSize.BYTES);
    }
  }

  /** Returns the next rows of a window that is being published. */
  List<LedgerRow> page(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(PAGE)) {
      select.setInt(1, shard);
      select.setLong(2, position.lastSeq());
      select.setString(3, position.window());
      select.setString(4, position.prev());
      select.setInt(5, limit);
      select.setLong(6, PageSize.BYTES);
      return rows(select);
    }
  }

  /** Tells whether a page may be followed by another one. */
  static boolean isFull(List<LedgerRow> page, int limit) {
    return page.size() >= limit || bytes(page) >= PageSize.BYTES;
  }

  /** Returns rows that {@code prev} sees although their seq was never published. */
  List<LedgerRow> unpublished(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(UNPUBLISHED)) {
      select.setInt(1, shard);
      select.setLong(2, position.maxSeq());
      select.setString(3, position.prev());
      select.setInt(4, limit);
      select.setLong(5, PageSize.BYTES);
      return rows(select);
    }
  }

  /** The connection may belong to the application's pool: nobody else must meet these settings. */
  @Override
  public void close() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String setting : SETTINGS) {
        statement.execute("RESET " + setting);
      }
    } catch (SQLException e) {
      // it is broken, or soon will be: a pool throws it away
      connection.abort(Runnable::run);
    } finally {
      connection.close();
    }
  }

  private List<LedgerRow> rows(PreparedStatement select) throws SQLException {
    List<LedgerRow> rows = new ArrayList<>();
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        rows.add(LedgerRow.read(result, lane));
      }
    }
    return rows;
  }

  private static long bytes(List<LedgerRow> rows) {
    return rows.stream().mapToLong(LedgerRow::bytes).sum();
  }
}
