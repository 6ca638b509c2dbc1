package dev.lockstep.outbox.internal;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Reads a shard's rows by the difference of two snapshots, in seq order.
 *
 * <p>A cursor on seq would skip rows whose transaction commits later; a snapshot difference holds
 * each transaction exactly once, and a long transaction stalls nobody (decision 0004). One
 * statement in READ COMMITTED sees one snapshot, the one it returns.
 */
final class LedgerReader implements AutoCloseable {

  /** One row to publish. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record LedgerRow(
      long seq,
      UUID id,
      String topic,
      @Nullable Integer partition,
      byte @Nullable [] key,
      byte @Nullable [] payload,
      List<String> headers,
      long createdAt) {}

  /** What a poll saw: the snapshot, and the first rows that are new in it. */
  record Window(String snapshot, List<LedgerRow> rows, boolean more) {}

  private static final String COLUMNS =
      " seq, id, topic, part, msg_key, payload, headers, created_at ";

  private static final String POLL =
      "WITH cur AS MATERIALIZED (SELECT pg_current_snapshot() AS s)"
          + " SELECT cur.s::text AS snapshot, o.* FROM cur LEFT JOIN LATERAL ("
          + "  SELECT"
          + COLUMNS
          + "FROM lockstep_outbox WHERE shard = ? AND xid >= pg_snapshot_xmax(?::pg_snapshot)"
          + "    AND xid < pg_snapshot_xmax(cur.s) AND pg_visible_in_snapshot(xid, cur.s)"
          + "  UNION ALL SELECT"
          + COLUMNS
          + "FROM lockstep_outbox WHERE shard = ?"
          + "    AND xid IN (SELECT pg_snapshot_xip(?::pg_snapshot))"
          + "    AND pg_visible_in_snapshot(xid, cur.s)"
          + " ) o ON true ORDER BY o.seq LIMIT ?";

  private static final String PAGE =
      "SELECT"
          + COLUMNS
          + "FROM lockstep_outbox WHERE shard = ? AND seq > ?"
          + " AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
          + " AND NOT pg_visible_in_snapshot(xid, ?::pg_snapshot) ORDER BY seq LIMIT ?";

  private static final String UNPUBLISHED =
      "SELECT"
          + COLUMNS
          + "FROM lockstep_outbox WHERE shard = ? AND seq > ?"
          + " AND pg_visible_in_snapshot(xid, ?::pg_snapshot) ORDER BY seq LIMIT ?";

  private final Connection connection;
  private final int shard;

  LedgerReader(DataSource dataSource, int shard) throws SQLException {
    this.connection = dataSource.getConnection();
    this.shard = shard;
    connection.setAutoCommit(true);
    try (Statement statement = connection.createStatement()) {
      // the table is often empty when it is analyzed: a plan made then is bad for a backlog
      statement.execute("SET plan_cache_mode = force_custom_plan");
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
  }

  /** The connection that it holds; for statements of the same shard, on the same thread. */
  Connection connection() {
    return connection;
  }

  UUID source() throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT source FROM lockstep_outbox_meta")) {
      if (!row.next()) {
        throw new SQLException("lockstep_outbox_meta has no row: run the migration");
      }
      return row.getObject(1, UUID.class);
    }
  }

  /** Takes a snapshot and returns the first rows that are visible in it and not in {@code prev}. */
  Window poll(String prev, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(POLL)) {
      select.setInt(1, shard);
      select.setString(2, prev);
      select.setInt(3, shard);
      select.setString(4, prev);
      select.setInt(5, limit + 1);
      List<LedgerRow> rows = new ArrayList<>();
      String snapshot = prev;
      try (ResultSet result = select.executeQuery()) {
        while (result.next()) {
          snapshot = result.getString("snapshot");
          if (result.getObject("id") != null) {
            rows.add(row(result));
          }
        }
      }
      boolean more = rows.size() > limit;
      return new Window(snapshot, more ? rows.subList(0, limit) : rows, more);
    }
  }

  /** Returns the next rows of a window that is being published. */
  List<LedgerRow> page(String window, String prev, long lastSeq, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(PAGE)) {
      select.setInt(1, shard);
      select.setLong(2, lastSeq);
      select.setString(3, window);
      select.setString(4, prev);
      select.setInt(5, limit);
      return rows(select);
    }
  }

  /** Returns rows that {@code prev} sees although their seq was never published. */
  List<LedgerRow> unpublished(String prev, long maxSeq, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(UNPUBLISHED)) {
      select.setInt(1, shard);
      select.setLong(2, maxSeq);
      select.setString(3, prev);
      select.setInt(4, limit);
      return rows(select);
    }
  }

  @Override
  public void close() throws SQLException {
    connection.close();
  }

  private static List<LedgerRow> rows(PreparedStatement select) throws SQLException {
    List<LedgerRow> rows = new ArrayList<>();
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        rows.add(row(result));
      }
    }
    return rows;
  }

  private static LedgerRow row(ResultSet result) throws SQLException {
    Array headers = result.getArray("headers");
    int partition = result.getInt("part");
    boolean anyPartition = result.wasNull();
    return new LedgerRow(
        result.getLong("seq"),
        result.getObject("id", UUID.class),
        result.getString("topic"),
        anyPartition ? null : partition,
        result.getBytes("msg_key"),
        result.getBytes("payload"),
        List.of((String[]) headers.getArray()),
        result.getTimestamp("created_at").getTime());
  }
}
