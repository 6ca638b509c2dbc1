package dev.lockstep.outbox.internal.relay;

import java.util.Arrays;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Snapshots as PostgreSQL writes them: {@code xmin:xmax:xip,xip,...}. */
final class Snapshots {

  private Snapshots() {}

  /** Returns the first transaction id that a snapshot knows nothing of. */
  static long xmax(String snapshot) {
    return Long.parseLong(snapshot.split(":", -1)[1]);
  }

  /**
   * Returns the snapshot that sees what both see.
   *
   * <p>A server that crashed hands out transaction ids again that an earlier snapshot saw as ended:
   * they had been rolled back. With the server's present snapshot taken into it, the earlier one no
   * longer claims to have seen what has yet to commit.
   */
  static String intersection(String one, String other) {
    long xmax = Math.min(xmax(one), xmax(other));
    TreeSet<Long> open = new TreeSet<>();
    for (String snapshot : new String[] {one, other}) {
      String listed = snapshot.split(":", -1)[2];
      if (!listed.isEmpty()) {
        Arrays.stream(listed.split(",")).map(Long::parseLong).forEach(open::add);
      }
    }
    open.tailSet(xmax).clear();
    long xmin = open.isEmpty() ? xmax : open.first();
    return xmin
        + ":"
        + xmax
        + ":"
        + open.stream().map(String::valueOf).collect(Collectors.joining(","));
  }
}
