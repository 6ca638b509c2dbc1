package dev.lockstep.outbox.internal.relay;

import java.util.NavigableSet;
import java.util.TreeSet;
import java.util.stream.Collectors;

/**
 * A set of transactions in the form of a snapshot: all below {@code xmax} but those that are
 * listed. Transactions that were read from the log can be added, so that a position stays a
 * snapshot whose rows are all published, whoever reads on from it. Not thread-safe.
 */
final class Seen {

  private long xmax;
  private final NavigableSet<Long> open;

  private Seen(long xmax, NavigableSet<Long> open) {
    this.xmax = xmax;
    this.open = open;
  }

  /** Returns what a snapshot sees, as PostgreSQL writes it: {@code xmin:xmax:xip,xip,...}. */
  static Seen of(String snapshot) {
    String[] parts = snapshot.split(":", -1);
    NavigableSet<Long> open = new TreeSet<>();
    if (!parts[2].isEmpty()) {
      for (String xid : parts[2].split(",", -1)) {
        open.add(Long.parseLong(xid));
      }
    }
    return new Seen(Long.parseLong(parts[1]), open);
  }

  Seen copy() {
    return new Seen(xmax, new TreeSet<>(open));
  }

  boolean sees(long xid) {
    return xid < xmax && !open.contains(xid);
  }

  /** How many transactions are listed as not seen when this one is added. */
  long listedWith(long xid) {
    return open.size() + Math.max(0, xid - xmax);
  }

  /** Adds a transaction. */
  void add(long xid) {
    if (xid < xmax) {
      open.remove(xid);
      return;
    }
    for (long between = xmax; between < xid; between++) {
      open.add(between);
    }
    xmax = xid + 1;
  }

  /** Adds all that a snapshot sees. */
  void add(Seen other) {
    Seen before = copy();
    open.addAll(other.open);
    open.removeIf(xid -> before.sees(xid) || other.sees(xid));
    xmax = Math.max(xmax, other.xmax);
  }

  /**
   * Keeps what a snapshot sees as well.
   *
   * <p>A server that crashed hands out transaction ids again that an earlier snapshot saw as ended:
   * they had been rolled back. With the server's present snapshot taken into it, the earlier one no
   * longer claims to have seen what has yet to commit.
   */
  void retain(Seen other) {
    xmax = Math.min(xmax, other.xmax);
    open.addAll(other.open);
    open.tailSet(xmax, true).clear();
  }

  /** Tells whether all transactions before one are seen. */
  boolean isPast(long xid) {
    return xmax >= xid && open.headSet(xid).isEmpty();
  }

  /** Returns transactions that a snapshot names as open although they are seen here. */
  NavigableSet<Long> openIn(Seen snapshot) {
    NavigableSet<Long> both = new TreeSet<>(snapshot.open);
    both.removeIf(xid -> !sees(xid));
    return both;
  }

  /** Tells whether transactions are seen that had not begun when a snapshot was taken. */
  boolean reachesBeyond(Seen snapshot) {
    return xmax > snapshot.xmax;
  }

  @Override
  public String toString() {
    return (open.isEmpty() ? xmax : open.first())
        + ":"
        + xmax
        + ":"
        + open.stream().map(String::valueOf).collect(Collectors.joining(","));
  }
}
