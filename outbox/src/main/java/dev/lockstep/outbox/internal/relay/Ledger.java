package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Rows of a shard that are not published yet. Used by one thread. */
interface Ledger extends AutoCloseable {

  /** How a position moves when rows of a page are passed. */
  interface Behind {
    RelayPosition of(Sorted sorted);
  }

  /**
   * Rows that come next.
   *
   * @param more true: the next page can be asked for before this one is published
   */
  record Page(List<LedgerRow> rows, boolean more, Behind behind) {}

  /** The connection that it holds; for statements of the same shard, on the same thread. */
  Connection connection();

  /**
   * Compares a position with the ledger that is there, and takes the shard over from it.
   *
   * @throws dev.lockstep.outbox.OutboxException when it is not a position in this ledger
   */
  RelayPosition takeOver(RelayPosition found) throws SQLException;

  /** From now on rows are only read while no later relay epoch owns the shard. */
  void owned(long relayEpoch);

  /**
   * Returns the rows that come behind a position; null: none do. Depends on nothing else that a
   * failure could take back, so that it may be asked ahead.
   */
  @Nullable Page next(RelayPosition position, int limit) throws SQLException;

  /** Tells whether rows come from the database's log now. */
  default boolean isFollowing() {
    return false;
  }

  /**
   * Deletes rows that a position says are published, of this relay or of an earlier one. On the
   * express lane the position may not be in Kafka yet, its rows are.
   */
  void forget(List<String> undeleted) throws SQLException;

  /** Gives the connection back as it came. */
  @Override
  void close() throws SQLException;
}
