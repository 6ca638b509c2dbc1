package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.apache.kafka.common.errors.ProducerFencedException;

/**
 * A shard's rows that wait elsewhere, so that the position can pass them and their segment can be
 * truncated: tables {@code lockstep_outbox_parked} and {@code lockstep_outbox_blocked}. Only the
 * shard's owner changes them, but for the wishes of operators; used by its thread.
 */
final class Parked {

  /** What a key or topic waits for. */
  record Blocked(String reason, boolean probed, boolean unblockRequested) {}

  /**
   * Rows that the position has passed. One that it has not is read again from the ledger after a
   * crash, and would go out twice.
   */
  private static final String PASSED =
      " AND ((pg_visible_in_snapshot(p.xid, ?::pg_snapshot) AND p.seq <= ?)"
          + " OR (? <> '' AND p.seq <= ?"
          + " AND pg_visible_in_snapshot(p.xid, coalesce(nullif(?, ''), '1:1:')::pg_snapshot)))";

  private static final String SELECT =
      "SELECT" + LedgerRow.COLUMNS + "FROM lockstep_outbox_parked p WHERE shard = ?";

  private static final String OF_TOPIC =
      SELECT
          + " AND p.blocked AND p.topic = ? AND NOT EXISTS (SELECT FROM lockstep_outbox_blocked b"
          + " WHERE b.shard = p.shard AND b.topic = p.topic AND NOT b.whole_topic"
          + " AND b.msg_key = p.msg_key)"
          + PASSED;

  private static final String OF_KEY =
      SELECT + " AND p.blocked AND p.topic = ? AND p.msg_key = ?" + PASSED;

  private static final String RELEASED = SELECT + " AND p.released AND NOT p.blocked" + PASSED;

  private final Connection connection;
  private final int shard;
  private final int lane;
  private final long epoch;

  /**
   * @param epoch of the relay, committed to the position topic: no other relay has the same
   */
  Parked(Connection connection, int shard, int lane, long epoch) {
    this.epoch = epoch;
    this.connection = connection;
    this.shard = shard;
    this.lane = lane;
  }

  /**
   * Takes the tables over: every earlier owner is refused from now on.
   *
   * @throws ProducerFencedException when a later one has them already
   */
  void own() throws SQLException {
    try (PreparedStatement take =
        connection.prepareStatement(
            "INSERT INTO lockstep_outbox_owner AS o (shard, epoch) VALUES (?, ?)"
                + " ON CONFLICT (shard) DO UPDATE SET epoch = EXCLUDED.epoch"
                + " WHERE o.epoch < EXCLUDED.epoch")) {
      take.setInt(1, shard);
      take.setLong(2, epoch);
      if (take.executeUpdate() == 0) {
        throw fenced();
      }
    }
  }

  private ProducerFencedException fenced() {
    return new ProducerFencedException(
        "Shard %d was taken over by a relay after epoch %d".formatted(shard, epoch));
  }

  /** Returns what is blocked in this shard. */
  Map<BlockKey, Blocked> blocked() throws SQLException {
    Map<BlockKey, Blocked> all = new HashMap<>();
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT topic, whole_topic, msg_key, reason, probed, unblock_requested"
                + " FROM lockstep_outbox_blocked WHERE shard = ?")) {
      select.setInt(1, shard);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          all.put(
              BlockKey.of(row.getString(1), row.getBoolean(2) ? null : row.getBytes(3)),
              new Blocked(row.getString(4), row.getBoolean(5), row.getBoolean(6)));
        }
      }
    }
    return all;
  }

  /**
   * Stores rows and blocks, before the position passes the rows; again after a crash is harmless.
   */
  void put(Sorted sorted) throws SQLException {
    inTransaction(
        () -> {
          try (PreparedStatement insert =
              connection.prepareStatement(
                  "INSERT INTO lockstep_outbox_blocked"
                      + " (shard, topic, whole_topic, msg_key, reason, probed)"
                      + " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")) {
            for (Map.Entry<BlockKey, Blocked> block : sorted.blocks().entrySet()) {
              insert.setInt(1, shard);
              insert.setString(2, block.getKey().topic());
              insert.setBoolean(3, block.getKey().isWholeTopic());
              insert.setBytes(4, block.getKey().bytes());
              insert.setString(5, block.getValue().reason());
              insert.setBoolean(6, block.getValue().probed());
              insert.addBatch();
            }
            insert.executeBatch();
          }
          try (PreparedStatement insert =
              connection.prepareStatement(
                  "INSERT INTO lockstep_outbox_parked (shard, seq, xid, id, topic, part, msg_key,"
                      + " payload, headers, created_at, reason, blocked)"
                      + " SELECT shard, seq, xid, id, topic, part, msg_key, payload, headers,"
                      + " created_at, ?, ? FROM lockstep_outbox WHERE shard = ? AND seq = ?"
                      + " AND id = ? ON CONFLICT DO NOTHING")) {
            for (Aside aside : sorted.asides()) {
              insert.setString(1, aside.reason());
              insert.setBoolean(2, aside.waits());
              insert.setInt(3, shard);
              insert.setLong(4, aside.row().seq());
              insert.setObject(5, aside.row().id());
              insert.addBatch();
            }
            insert.executeBatch();
          }
        });
  }

  /** Returns rows that wait for a block, those first that came first. */
  List<LedgerRow> waiting(BlockKey block, RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(bounded(block.isWholeTopic() ? OF_TOPIC : OF_KEY))) {
      int next = 1;
      select.setInt(next++, shard);
      select.setString(next++, block.topic());
      if (!block.isWholeTopic()) {
        select.setBytes(next++, block.bytes());
      }
      return rows(select, next, position, limit);
    }
  }

  /** Returns parked rows that an operator wants out. */
  List<LedgerRow> released(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(bounded(RELEASED))) {
      select.setInt(1, shard);
      return rows(select, 2, position, limit);
    }
  }

  private static String bounded(String select) {
    return Ledger.bounded(select) + " ORDER BY seq";
  }

  private List<LedgerRow> rows(
      PreparedStatement select, int first, RelayPosition position, int limit) throws SQLException {
    setPassed(select, first, position);
    select.setInt(first + 5, limit);
    select.setLong(first + 6, PageSize.BYTES);
    List<LedgerRow> rows = new ArrayList<>();
    try (ResultSet result = select.executeQuery()) {
      while (result.next()) {
        rows.add(LedgerRow.read(result, lane));
      }
    }
    return rows;
  }

  /** Forgets rows that a position says are published: {@link RelayPosition#unparked()}. */
  void forget(List<String> unparked) throws SQLException {
    if (unparked.isEmpty()) {
      return;
    }
    inTransaction(
        () -> {
          try (PreparedStatement delete =
              connection.prepareStatement(
                  "DELETE FROM lockstep_outbox_parked WHERE shard = ? AND seq = ? AND id = ?")) {
            for (String one : unparked) {
              int colon = one.indexOf(':');
              delete.setInt(1, shard);
              delete.setLong(2, Long.parseLong(one.substring(0, colon)));
              delete.setObject(3, UUID.fromString(one.substring(colon + 1)));
              delete.addBatch();
            }
            delete.executeBatch();
          }
        });
  }

  /**
   * Forgets what was put aside by a relay that ended before its position passed it: those rows are
   * read again and decided again.
   */
  void forgetAhead(RelayPosition position) throws SQLException {
    inTransaction(
        () -> {
          try (PreparedStatement delete =
              connection.prepareStatement(
                  "DELETE FROM lockstep_outbox_parked p WHERE shard = ? AND NOT (true"
                      + PASSED
                      // a position that was lost passes nothing, and what was truncated is only
                      // here
                      + ") AND EXISTS (SELECT FROM lockstep_outbox o WHERE o.shard = p.shard"
                      + " AND o.seq = p.seq AND o.id = p.id)")) {
            delete.setInt(1, shard);
            setPassed(delete, 2, position);
            delete.executeUpdate();
          }
        });
  }

  /** Ends a block behind which nothing waits any more. */
  void unblock(BlockKey block) throws SQLException {
    inTransaction(
        () -> {
          try (PreparedStatement delete =
              connection.prepareStatement(
                  "DELETE FROM lockstep_outbox_blocked"
                      + " WHERE shard = ? AND topic = ? AND whole_topic = ? AND msg_key = ?")) {
            set(delete, block, 1);
            delete.executeUpdate();
          }
        });
  }

  /** An operator's wish that could not be granted: says why, and waits for the next. */
  void refuse(BlockKey block, String reason) throws SQLException {
    inTransaction(
        () -> {
          try (PreparedStatement update =
              connection.prepareStatement(
                  "UPDATE lockstep_outbox_blocked SET unblock_requested = false, reason = ?"
                      + " WHERE shard = ? AND topic = ? AND whole_topic = ? AND msg_key = ?")) {
            update.setString(1, reason);
            set(update, block, 2);
            update.executeUpdate();
          }
        });
  }

  /** A row of a topic that is back is refused for itself: its key waits, or it alone. */
  void demote(LedgerRow row, String reason) throws SQLException {
    inTransaction(
        () -> {
          byte[] key = row.key();
          try (PreparedStatement write =
              connection.prepareStatement(
                  key == null
                      ? "UPDATE lockstep_outbox_parked SET blocked = false, reason = ?"
                          + " WHERE shard = ? AND seq = ?"
                      : "INSERT INTO lockstep_outbox_blocked"
                          + " (reason, shard, topic, msg_key, whole_topic, probed)"
                          + " VALUES (?, ?, ?, ?, false, false) ON CONFLICT DO NOTHING")) {
            write.setString(1, reason);
            write.setInt(2, shard);
            if (key == null) {
              write.setLong(3, row.seq());
            } else {
              write.setString(3, row.topic());
              write.setBytes(4, key);
            }
            write.executeUpdate();
          }
        });
  }

  /** The same for a row. */
  void refuse(LedgerRow row, String reason) throws SQLException {
    inTransaction(
        () -> {
          try (PreparedStatement update =
              connection.prepareStatement(
                  "UPDATE lockstep_outbox_parked SET released = false, reason = ?"
                      + " WHERE shard = ? AND seq = ?")) {
            update.setString(1, reason);
            update.setInt(2, shard);
            update.setLong(3, row.seq());
            update.executeUpdate();
          }
        });
  }

  private static void setPassed(PreparedStatement statement, int first, RelayPosition position)
      throws SQLException {
    statement.setString(first, position.prev());
    statement.setLong(first + 1, position.maxSeq());
    statement.setString(first + 2, position.window());
    statement.setLong(first + 3, position.lastSeq());
    statement.setString(first + 4, position.window());
  }

  private void set(PreparedStatement statement, BlockKey block, int first) throws SQLException {
    statement.setInt(first, shard);
    statement.setString(first + 1, block.topic());
    statement.setBoolean(first + 2, block.isWholeTopic());
    statement.setBytes(first + 3, block.bytes());
  }

  private interface Writes {
    void run() throws SQLException;
  }

  private void inTransaction(Writes writes) throws SQLException {
    connection.setAutoCommit(false);
    try (PreparedStatement owner =
        connection.prepareStatement(
            "SELECT FROM lockstep_outbox_owner WHERE shard = ? AND epoch = ? FOR SHARE")) {
      // held until the commit: who takes over waits for it, and sees what was written
      owner.setInt(1, shard);
      owner.setLong(2, epoch);
      try (ResultSet row = owner.executeQuery()) {
        if (!row.next()) {
          throw fenced();
        }
      }
      writes.run();
      connection.commit();
    } catch (SQLException | RuntimeException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }
}
