package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** A shard's rows that one snapshot sees and no topic has, in seq order. Used by one thread. */
final class AbsentRows implements Ledger {

  /** What is asked about a row before it is read as a whole. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Outline(long seq, UUID id, String topic, byte @Nullable [] key) {}

  /** Decides which rows are published. */
  interface Wanted {
    boolean is(Outline row);
  }

  private static final int AT_ONCE = 10_000;

  private static final String LOOK =
      "SELECT seq, id, topic, msg_key FROM lockstep_outbox WHERE shard = ? AND seq > ?"
          + " AND pg_visible_in_snapshot(xid, ?::pg_snapshot) ORDER BY seq LIMIT "
          + AT_ONCE;

  private static final String READ =
      Rows.bounded(
          "SELECT"
              + Dialect.POSTGRESQL.columns()
              + "FROM lockstep_outbox WHERE shard = ? AND seq = ANY(?)"
              + " AND pg_visible_in_snapshot(xid, ?::pg_snapshot)");

  private final Connection connection;
  private final int shard;
  private final int lane;
  private final long epoch;
  private final String snapshot;
  private final Wanted wanted;
  private boolean drained;

  AbsentRows(
      Connection connection, int shard, int lane, long epoch, String snapshot, Wanted wanted) {
    this.connection = connection;
    this.shard = shard;
    this.lane = lane;
    this.epoch = epoch;
    this.snapshot = snapshot;
    this.wanted = wanted;
  }

  /** Tells whether there are no more. */
  boolean isDrained() {
    return drained;
  }

  @Override
  public Connection connection() {
    return connection;
  }

  @Override
  public RelayPosition takeOver(RelayPosition found) {
    return found;
  }

  @Override
  public void owned(long relayEpoch) {
    // it is known from the start
  }

  @Override
  public @Nullable Page next(RelayPosition position, int limit) throws SQLException {
    List<Long> wantedNow = seqs(position.lastSeq(), limit);
    if (wantedNow.isEmpty()) {
      drained = true;
      return null;
    }
    List<LedgerRow> rows = read(wantedNow, limit);
    if (rows.isEmpty()) {
      throw new OutboxException(
          "Row %d of shard %d is gone from the ledger and was never published: who truncates it?"
              .formatted(wantedNow.get(0), shard));
    }
    return new Page(rows, false, sorted -> position.past(sorted.passed()));
  }

  private List<Long> seqs(long after, int limit) throws SQLException {
    List<Long> found = new ArrayList<>();
    long last = after;
    int seen = AT_ONCE;
    while (found.size() < limit && seen == AT_ONCE) {
      seen = 0;
      try (PreparedStatement select = connection.prepareStatement(LOOK)) {
        select.setInt(1, shard);
        select.setLong(2, last);
        select.setString(3, snapshot);
        try (ResultSet row = select.executeQuery()) {
          while (row.next() && found.size() < limit) {
            seen++;
            last = row.getLong("seq");
            Outline outline =
                new Outline(
                    last,
                    Dialect.POSTGRESQL.id(row, 2),
                    row.getString("topic"),
                    row.getBytes("msg_key"));
            if (wanted.is(outline)) {
              found.add(last);
            }
          }
        }
      }
    }
    return found;
  }

  private List<LedgerRow> read(List<Long> seqs, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(Rows.owned(READ, shard))) {
      select.setInt(1, shard);
      select.setArray(2, connection.createArrayOf("bigint", seqs.toArray()));
      select.setString(3, snapshot);
      select.setInt(4, limit);
      select.setLong(5, PageSize.BYTES);
      try (ResultSet result = select.executeQuery()) {
        return Rows.owned(result, shard, epoch, lane, Dialect.POSTGRESQL);
      }
    }
  }

  @Override
  public void forget(List<String> undeleted) {
    // nothing was deleted
  }

  @Override
  public void close() {
    // the connection is the shard's
  }
}
