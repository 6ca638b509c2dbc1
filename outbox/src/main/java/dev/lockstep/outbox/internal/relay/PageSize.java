package dev.lockstep.outbox.internal.relay;

import java.util.List;

/**
 * How much goes into one Kafka transaction. Grows while pages are full and quick: first the page,
 * then the number of pages. Shrinks after failures down to one page of one row, which is how a row
 * that Kafka refuses is found. Not thread-safe.
 */
final class PageSize {

  /** A page ends here as well: 10,000 rows of 100 KB would be 1 GB of heap (outbox-review, 14). */
  static final long BYTES = 8L << 20;

  /**
   * A transaction costs the broker as much as a thousand rows, and a page of its rows outlives the
   * young generation (decision 0021): so pages are small, and share one.
   */
  static final int MOST_PAGES = 8;

  /** So many rows of 400 B as {@link #MOST_PAGES} hold fit. */
  private static final long MOST_BYTES = 2 * BYTES;

  private static final int FIRST = 500;

  private final int most;
  private final long longestNanos;
  private int rows;
  private int pages = 1;

  /**
   * @param most rows of a page
   * @param longestNanos what takes longer is halved: a quarter of the transaction timeout
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
    return bytes(page) >= BYTES;
  }

  /** Bytes of a page's rows. */
  static long bytes(List<LedgerRow> page) {
    return page.stream().mapToLong(LedgerRow::bytes).sum();
  }

  /** Most rows of a page. */
  int rows() {
    return rows;
  }

  /**
   * Tells whether a transaction takes one more page. Full pages of large rows stay alone: eight of
   * them would be 64 MiB between two markers, and readers of read_committed wait for the end.
   *
   * @param count pages it has
   * @param bytes of their rows
   */
  boolean hasRoom(int count, long bytes) {
    return count < pages && bytes < MOST_BYTES;
  }

  /**
   * A transaction went out.
   *
   * @param count its rows
   * @param nanos from its first row to its end
   */
  void sent(long count, long nanos) {
    if (nanos > longestNanos) {
      shrink();
    } else if (count >= rows && nanos < longestNanos / 4) {
      if (rows == most) {
        pages = Math.min(MOST_PAGES, pages * 2);
      }
      rows = (int) Math.min(most, rows * 2L);
    }
  }

  /** A transaction failed. */
  void shrink() {
    pages = 1;
    rows = Math.max(1, rows / 2);
  }
}
