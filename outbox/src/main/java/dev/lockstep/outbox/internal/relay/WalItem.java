package dev.lockstep.outbox.internal.relay;

import java.util.List;

/** What a shard learns from the log, in the order of commits. */
sealed interface WalItem {

  /** Bytes of heap, about. */
  long bytes();

  /**
   * A transaction committed.
   *
   * @param rows of this shard, by seq; empty: they are too many to be kept here and stand in the
   *     ledger
   */
  record Committed(long xid, List<LedgerRow> rows) implements WalItem {
    @Override
    public long bytes() {
      return 100 + rows.stream().mapToLong(LedgerRow::bytes).sum();
    }
  }

  /** All that this snapshot sees came before. */
  record Mark(String snapshot) implements WalItem {
    @Override
    public long bytes() {
      return 100L + snapshot.length();
    }
  }
}
