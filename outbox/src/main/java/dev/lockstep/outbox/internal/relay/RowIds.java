package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import java.util.Arrays;
import java.util.UUID;

/**
 * What is known of rows, by id: 17 bytes each in tables that are between three eighths and three
 * quarters full. Many small tables, so that one that grows needs little beside itself. Not
 * thread-safe.
 */
final class RowIds {

  /** Stands in the ledger. */
  static final int LEDGER = 1;

  /** Waits in {@code lockstep_outbox_parked}. */
  static final int ASIDE = 2;

  /** Waits in {@code lockstep_outbox_scheduled}. */
  static final int SCHEDULED = 4;

  /** An operator dropped it. */
  static final int DISCARDED = 8;

  /** Stands in a topic. */
  static final int FOUND = 16;

  /** In a topic, and nowhere in the database. */
  static final int LOST = 32;

  /** Absent from a compacted topic that has a later row of its key. */
  static final int SUPERSEDED = 64;

  private static final int PARTS = 256;

  private final long most;
  private final Part[] parts = new Part[PARTS];
  private long size;

  /**
   * @param most ids
   */
  RowIds(long most) {
    this.most = most;
    Arrays.setAll(parts, i -> new Part());
  }

  /**
   * Adds marks to those of an id.
   *
   * @param marks not 0
   * @return false when it had them all
   */
  boolean mark(UUID id, int marks) {
    Part part = part(id);
    int at = part.find(id);
    if (part.marks[at] == 0) {
      if (size >= most) {
        throw new OutboxException(
            "More than %d rows would have to be held in memory: allow more in the request, with 45 bytes of heap for each"
                .formatted(most));
      }
      size++;
      part.add(id, at, marks);
      return true;
    }
    int before = part.marks[at];
    part.marks[at] |= (byte) marks;
    return part.marks[at] != before;
  }

  /** Returns the marks of an id; 0: it is not known. */
  int marks(UUID id) {
    Part part = part(id);
    return part.marks[part.find(id)];
  }

  /** Returns how many ids have all of the marks. */
  long count(int marks) {
    long count = 0;
    for (Part part : parts) {
      for (byte one : part.marks) {
        if ((one & marks) == marks) {
          count++;
        }
      }
    }
    return count;
  }

  private Part part(UUID id) {
    return parts[(int) (hash(id) >>> 56)];
  }

  /** Ids may begin with a time, or be chosen by whoever writes. */
  private static long hash(UUID id) {
    long mixed =
        (id.getMostSignificantBits() * 0x9E3779B97F4A7C15L + id.getLeastSignificantBits())
            * 0xC2B2AE3D27D4EB4FL;
    return mixed ^ (mixed >>> 29);
  }

  /** An open hash table; an entry without marks is free. */
  private static final class Part {
    private long[] high = new long[16];
    private long[] low = new long[16];
    private byte[] marks = new byte[16];
    private int size;

    int find(UUID id) {
      int mask = marks.length - 1;
      int at = (int) hash(id) & mask;
      while (marks[at] != 0
          && (high[at] != id.getMostSignificantBits() || low[at] != id.getLeastSignificantBits())) {
        at = (at + 1) & mask;
      }
      return at;
    }

    void add(UUID id, int at, int first) {
      high[at] = id.getMostSignificantBits();
      low[at] = id.getLeastSignificantBits();
      marks[at] = (byte) first;
      size++;
      if (size > marks.length / 4 * 3) {
        grow();
      }
    }

    private void grow() {
      long[] oldHigh = high;
      long[] oldLow = low;
      byte[] oldMarks = marks;
      high = new long[2 * oldHigh.length];
      low = new long[high.length];
      marks = new byte[high.length];
      for (int i = 0; i < oldMarks.length; i++) {
        if (oldMarks[i] != 0) {
          int at = find(new UUID(oldHigh[i], oldLow[i]));
          high[at] = oldHigh[i];
          low[at] = oldLow[i];
          marks[at] = oldMarks[i];
        }
      }
    }
  }
}
