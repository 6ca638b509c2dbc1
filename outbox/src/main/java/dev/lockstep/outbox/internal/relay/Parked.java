package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
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

  private static final String KEY_IS_BLOCKED =
      " AND NOT EXISTS (SELECT 1 FROM lockstep_outbox_blocked b"
          + " WHERE b.shard = p.shard AND b.topic = p.topic AND NOT b.whole_topic"
          + " AND b.msg_key = p.msg_key)";

  /** {@code lockstep_outbox_meta} has one row. */
  private static final String BLOCK =
      "INSERT INTO lockstep_outbox_blocked (shard, topic, whole_topic, msg_key, reason, probed)"
          + " SELECT ?, ?, ?, ?, ?, ? FROM lockstep_outbox_meta WHERE NOT EXISTS"
          + " (SELECT 1 FROM lockstep_outbox_blocked"
          + " WHERE shard = ? AND topic = ? AND whole_topic = ? AND msg_key = ?)";

  private final Connection connection;
  private final int shard;
  private final int lane;
  private final long epoch;
  private final Dialect dialect;

  /** Rows that the position has not passed are still in the ledger, beside those here. */
  private final boolean behindPosition;

  /**
   * @param epoch of the relay, committed to the position topic: no other relay has the same
   */
  Parked(Connection connection, int shard, int lane, long epoch) throws SQLException {
    this.epoch = epoch;
    this.dialect = Dialect.of(connection);
    this.behindPosition = dialect.hasSnapshots();
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
    boolean taken =
        take()
            || dialect.insertOnce(
                connection,
                "INSERT INTO lockstep_outbox_owner (shard, epoch) VALUES (?, ?)",
                insert -> {
                  insert.setInt(1, shard);
                  insert.setLong(2, epoch);
                })
            // another one was first to insert it
            || take();
    if (!taken) {
      throw fenced();
    }
  }

  private boolean take() throws SQLException {
    try (PreparedStatement take =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_owner SET epoch = ? WHERE shard = ? AND epoch < ?")) {
      take.setLong(1, epoch);
      take.setInt(2, shard);
      take.setLong(3, epoch);
      return take.executeUpdate() > 0;
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
   * Where a row that is there is one to publish, they leave the ledger in the same transaction.
   */
  void put(Sorted sorted) throws SQLException {
    String kept = behindPosition ? "o.xid, " : "";
    inTransaction(
        () -> {
          try (PreparedStatement block = connection.prepareStatement(BLOCK);
              PreparedStatement insert =
                  connection.prepareStatement(
                      "INSERT INTO lockstep_outbox_parked (shard, seq, "
                          + kept.replace("o.", "")
                          + "id, topic, part, msg_key, payload, headers, created_at, reason, blocked)"
                          + " SELECT o.shard, o.seq, "
                          + kept
                          + "o.id, o.topic, o.part, o.msg_key, o.payload, o.headers, o.created_at, ?, ?"
                          + " FROM lockstep_outbox o WHERE o.shard = ? AND o.seq = ? AND o.id = ?"
                          + " AND NOT EXISTS (SELECT 1 FROM lockstep_outbox_parked p"
                          + " WHERE p.shard = o.shard AND p.seq = o.seq AND p.id = o.id)");
              PreparedStatement delete =
                  connection.prepareStatement(
                      "DELETE FROM lockstep_outbox WHERE seq = ? AND id = ?")) {
            for (Map.Entry<BlockKey, Blocked> entry : sorted.blocks().entrySet()) {
              block(block, entry.getKey(), entry.getValue().reason(), entry.getValue().probed());
            }
            if (behindPosition) {
              block.executeBatch();
            }
            for (Aside aside : sorted.asides()) {
              insert.setString(1, aside.reason());
              insert.setBoolean(2, aside.waits());
              insert.setInt(3, shard);
              insert.setLong(4, aside.row().seq());
              dialect.setId(insert, 5, aside.row().id());
              add(insert);
              delete.setLong(1, aside.row().seq());
              dialect.setId(delete, 2, aside.row().id());
              delete.addBatch();
            }
            if (behindPosition) {
              insert.executeBatch();
            } else {
              delete.executeBatch();
            }
          }
        });
  }

  private void block(PreparedStatement insert, BlockKey key, String reason, boolean probed)
      throws SQLException {
    set(insert, key, 1);
    insert.setString(5, reason);
    insert.setBoolean(6, probed);
    set(insert, key, 7);
    add(insert);
  }

  /** MariaDB's driver cannot batch an INSERT with a SELECT. */
  private void add(PreparedStatement insert) throws SQLException {
    if (behindPosition) {
      insert.addBatch();
    } else {
      insert.executeUpdate();
    }
  }

  /** Returns rows that wait for a block, those first that came first. */
  List<LedgerRow> waiting(BlockKey block, RelayPosition position, int limit) throws SQLException {
    String which =
        " AND p.blocked AND p.topic = ?"
            + (block.isWholeTopic() ? KEY_IS_BLOCKED : " AND p.msg_key = ?");
    try (PreparedStatement select = connection.prepareStatement(select(which))) {
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
    try (PreparedStatement select =
        connection.prepareStatement(select(" AND p.released AND NOT p.blocked"))) {
      select.setInt(1, shard);
      return rows(select, 2, position, limit);
    }
  }

  private String select(String which) {
    return Rows.bounded(
            "SELECT"
                + dialect.columns()
                + "FROM lockstep_outbox_parked p WHERE shard = ?"
                + which
                + (behindPosition ? PASSED : ""))
        + " ORDER BY seq";
  }

  private List<LedgerRow> rows(
      PreparedStatement select, int first, RelayPosition position, int limit) throws SQLException {
    int next = behindPosition ? setPassed(select, first, position) : first;
    select.setInt(next, limit);
    select.setLong(next + 1, PageSize.BYTES);
    try (ResultSet result = select.executeQuery()) {
      return RowReader.all(result, lane, dialect);
    }
  }

  /** Forgets rows that a position says are published: {@link RelayPosition#undeleted()}. */
  void forget(List<String> undeleted) throws SQLException {
    if (undeleted.isEmpty()) {
      return;
    }
    inTransaction(
        () -> {
          try (PreparedStatement delete =
              connection.prepareStatement(
                  "DELETE FROM lockstep_outbox_parked WHERE shard = ? AND seq = ? AND id = ?")) {
            for (String one : undeleted) {
              int colon = one.indexOf(':');
              delete.setInt(1, shard);
              delete.setLong(2, Long.parseLong(one.substring(0, colon)));
              dialect.setId(delete, 3, UUID.fromString(one.substring(colon + 1)));
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
    if (!behindPosition) {
      return;
    }
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
            var unused = setPassed(delete, 2, position);
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
          if (key == null) {
            update("blocked = false", row, reason);
            return;
          }
          try (PreparedStatement insert = connection.prepareStatement(BLOCK)) {
            block(insert, BlockKey.of(row.topic(), key), reason, false);
            if (behindPosition) {
              insert.executeBatch();
            }
          }
        });
  }

  /** The same for a row. */
  void refuse(LedgerRow row, String reason) throws SQLException {
    inTransaction(() -> update("released = false", row, reason));
  }

  private void update(String what, LedgerRow row, String reason) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_parked SET "
                + what
                + ", reason = ? WHERE shard = ? AND seq = ? AND id = ?")) {
      update.setString(1, reason);
      update.setInt(2, shard);
      update.setLong(3, row.seq());
      dialect.setId(update, 4, row.id());
      update.executeUpdate();
    }
  }

  private static int setPassed(PreparedStatement statement, int first, RelayPosition position)
      throws SQLException {
    statement.setString(first, position.prev());
    statement.setLong(first + 1, position.maxSeq());
    statement.setString(first + 2, position.window());
    statement.setLong(first + 3, position.lastSeq());
    statement.setString(first + 4, position.window());
    return first + 5;
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
            "SELECT epoch FROM lockstep_outbox_owner WHERE shard = ? AND epoch = ? FOR UPDATE")) {
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
