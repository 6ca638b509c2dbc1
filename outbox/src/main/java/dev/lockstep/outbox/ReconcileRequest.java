package dev.lockstep.outbox;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * What a reconcile goes by. Immutable.
 *
 * @param restoredTo time that the database went back to. With it, rows that were written since then
 *     and are gone are listed also where the ledger has no older row; topics are read from then at
 *     the latest. Null: not known
 * @param publishedBefore rows of the ledger that were written before it count as published,
 *     whatever the topics say: for topics that do not reach back as far as the ledger. Null: the
 *     topics decide about all of them
 * @param mostRows rows of the ledger that may be held in memory, 23 to 45 bytes each; 1 or more
 */
public record ReconcileRequest(
    @Nullable Instant restoredTo, @Nullable Instant publishedBefore, long mostRows) {

  /** Checks the bound. */
  public ReconcileRequest {
    if (mostRows < 1) {
      throw new IllegalArgumentException("mostRows must be at least 1, is " + mostRows);
    }
  }

  /**
   * Lets the topics decide about all rows, 20 million at most: up to 900 MB.
   *
   * @return request
   */
  public static ReconcileRequest defaults() {
    return new ReconcileRequest(null, null, 20_000_000);
  }

  /**
   * Returns a request for a database that was restored.
   *
   * @param time of the backup, or that a recovery was stopped at
   * @return changed copy
   */
  public ReconcileRequest withRestoredTo(Instant time) {
    return new ReconcileRequest(time, publishedBefore, mostRows);
  }

  /**
   * Returns a request that takes old rows as published.
   *
   * @param time when they were written, exclusive
   * @return changed copy
   */
  public ReconcileRequest withPublishedBefore(Instant time) {
    return new ReconcileRequest(restoredTo, time, mostRows);
  }

  /**
   * Returns a request with another bound.
   *
   * @param rows of the ledger in memory
   * @return changed copy
   */
  public ReconcileRequest withMostRows(long rows) {
    return new ReconcileRequest(restoredTo, publishedBefore, rows);
  }
}
