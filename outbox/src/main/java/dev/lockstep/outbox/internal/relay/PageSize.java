package dev.lockstep.outbox.internal.relay;

import java.util.List;

/**
 * How much goes into one Kafka transaction. Grows while pages are full and quick, shrinks after
 * failures down to one row, which is how a row that Kafka refuses is found. Not thread-safe.
 */
final class PageSize {

  /** A page ends here as well: 10,000 rows of 100 KB would be 1 GB of heap (outbox-review, 14). */
  static final long BYTES = 8L << 20;

  private static final int FIRST = 500;

  private final int most;
  private final long longestNanos;
  private int rows;

  /**
   * @param most rows
   * @param longestNanos a page that takes longer is halved: a quarter of the transaction timeout
   */
  PageSize(int most, long longestNanos) {
    this.most = most;
    this.longestNanos = longestNanos;
    this.rows = Math.min(FIRST, most);
  }

  /** Tells whether a page may be followed by another one. */
  static boolean isFull(List<LedgerRow> page, int limit) {
    return page.size() >= limit || isFull(page);
  }

  /** Tells whether a page ends because of its bytes. */
  static boolean isFull(List<LedgerRow> page) {
    return page.stream().mapToLong(LedgerRow::bytes).sum() >= BYTES;
  }

  int rows() {
    return rows;
  }

  /** A page went out. */
  void sent(int count, long nanos) {
    if (nanos > longestNanos) {
      shrink();
    } else if (count >= rows && nanos < longestNanos / 4) {
      rows = (int) Math.min(most, rows * 2L);
    }
  }

  /** A page failed. */
  void shrink() {
    rows = Math.max(1, rows / 2);
  }
}
