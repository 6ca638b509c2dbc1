package dev.lockstep.outbox.internal.relay;

import java.util.List;

/** What a shard learns from the log, in the order of commits. */
sealed interface WalItem {

  /** Bytes of heap, about. */
  long bytes();

  /** A transaction committed; its rows of this shard, by seq. */
  record Committed(long xid, List<LedgerRow> rows) implements WalItem {
    @Override
    public long bytes() {
      return rows.stream().mapToLong(LedgerRow::bytes).sum();
    }
  }

  /** A transaction committed that is too large to be kept here: its rows stand in the ledger. */
  record Large(long xid) implements WalItem {
    @Override
    public long bytes() {
      return 100;
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
