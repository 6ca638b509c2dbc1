package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.sql.Connections;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Empties the segment that is written next, once all of its rows are published. Rows thus stay for
 * all segments but one or two: the reach of a replay.
 *
 * <p>Nothing is lost: an open transaction that wrote to the segment holds a lock on it, so that
 * this one times out; and what committed before the lock is seen by the check behind it.
 */
public final class Segments {

  private static final Logger LOG = LoggerFactory.getLogger(Segments.class);

  private static final int ATTEMPTS = 5;
  private static final long BETWEEN_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final DataSource dataSource;
  private final RelayOptions options;

  public Segments(DataSource dataSource, RelayOptions options) {
    this.dataSource = dataSource;
    this.options = options;
  }

  /** The segment that is written next is emptied if it can be. */
  void truncateOld() throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      int next;
      try (Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "SELECT (lockstep_outbox_segment() + 1) % segments FROM lockstep_outbox_meta")) {
        row.next();
        next = row.getInt(1);
      }
      truncate(connection, next);
    }
  }

  /** Empties all segments that can be, the one that is written now included; true: all are. */
  public boolean truncateAll() throws SQLException {
    boolean empty = true;
    try (Connection connection = Connections.committing(dataSource)) {
      List<Integer> all = new ArrayList<>();
      try (Statement statement = connection.createStatement();
          ResultSet row =
              statement.executeQuery(
                  "SELECT generate_series(0, segments - 1) FROM lockstep_outbox_meta")) {
        while (row.next()) {
          all.add(row.getInt(1));
        }
      }
      for (int segment : all) {
        empty &= truncate(connection, segment);
      }
    }
    return empty;
  }

  /** Returns false when rows are left. */
  private boolean truncate(Connection connection, int segment) throws SQLException {
    if (!hasRows(connection, segment)) {
      return true;
    }
    List<RelayPosition> positions = new ArrayList<>();
    LedgerIdentity.Now now = LedgerIdentity.now(connection);
    for (int shard = 0; shard < 2 * options.shards(); shard++) {
      RelayPosition position =
          PositionReader.read(options.config(), options.positionsTopic(), shard);
      // a database that went back has rows that such a position takes for published
      LedgerIdentity.require(position, now, connection, shard);
      positions.add(position);
    }
    if (isWanted(connection, segment, positions)) {
      return false;
    }
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        return lockAndTruncate(connection, segment, positions);
      } catch (SQLException e) {
        if (isRefused(e)) {
          throw e;
        }
        // a lock that is held for long, or for a moment; positions only ever move on
        LOG.debug("Segment {} is not truncated now: {}", segment, e.getMessage());
        LockSupport.parkNanos(BETWEEN_NANOS);
      }
    }
    return false;
  }

  private boolean lockAndTruncate(Connection connection, int segment, List<RelayPosition> positions)
      throws SQLException {
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      // writers and the relay's own reads queue up behind a lock that waits
      statement.execute("SET LOCAL lock_timeout = '5ms'");
      // the number comes from the table's own definition
      String table = "lockstep_outbox_" + segment;
      statement.execute("LOCK TABLE " + table + " IN ACCESS EXCLUSIVE MODE");
      // a new statement, so a new snapshot: it sees what committed before the lock
      boolean empty =
          !isOfOtherShards(connection, segment) && !isWanted(connection, segment, positions);
      if (empty) {
        statement.execute("TRUNCATE " + table);
      }
      connection.commit();
      return empty;
    } catch (SQLException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }

  /** Tells whether rights or tables are missing: class 42, which no second try changes. */
  static boolean isRefused(SQLException e) {
    return e.getSQLState() != null && e.getSQLState().startsWith("42");
  }

  /** Tells whether a row of the segment lies outside its shard's committed position. */
  private static boolean isWanted(Connection connection, int segment, List<RelayPosition> positions)
      throws SQLException {
    for (int shard = 0; shard < positions.size(); shard++) {
      RelayPosition position = positions.get(shard);
      // three look-ups by index instead of a scan under the lock
      try (PreparedStatement select =
          connection.prepareStatement(
              "SELECT EXISTS (SELECT FROM lockstep_outbox WHERE segment = ? AND shard = ?"
                  + " AND xid >= pg_snapshot_xmax(?::pg_snapshot))"
                  + " OR EXISTS (SELECT FROM lockstep_outbox WHERE segment = ? AND shard = ?"
                  + " AND xid IN (SELECT pg_snapshot_xip(?::pg_snapshot)))"
                  + " OR EXISTS (SELECT FROM lockstep_outbox WHERE segment = ? AND shard = ?"
                  + " AND seq > ?)")) {
        for (int i = 0; i < 3; i++) {
          select.setInt(3 * i + 1, segment);
          select.setInt(3 * i + 2, shard);
        }
        select.setString(3, position.prev());
        select.setString(6, position.prev());
        select.setLong(9, position.maxSeq());
        try (ResultSet row = select.executeQuery()) {
          row.next();
          if (row.getBoolean(1)) {
            return true;
          }
        }
      }
    }
    return false;
  }

  /**
   * Rows of shards whose positions were not read: the ledger was configured with another number.
   */
  private boolean isOfOtherShards(Connection connection, int segment) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT (SELECT shards FROM lockstep_outbox_meta) <> ? OR EXISTS (SELECT"
                + " FROM lockstep_outbox WHERE segment = ? AND (shard < 0 OR shard >= ?))")) {
      select.setInt(1, options.shards());
      select.setInt(2, segment);
      select.setInt(3, 2 * options.shards());
      try (ResultSet row = select.executeQuery()) {
        row.next();
        return row.getBoolean(1);
      }
    }
  }

  private static boolean hasRows(Connection connection, int segment) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement("SELECT FROM lockstep_outbox WHERE segment = ? LIMIT 1")) {
      select.setInt(1, segment);
      try (ResultSet row = select.executeQuery()) {
        return row.next();
      }
    }
  }
}
