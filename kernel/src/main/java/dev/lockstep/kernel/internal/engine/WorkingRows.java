package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store.Row;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Rows as a fold works on them: changes stay in memory until they are settled, just before a
 * commit. A row that came and went in between, as most locks do, is neither hashed nor written.
 *
 * <p>Some kinds of rows are kept in memory as a whole: the host's own, and those that a machine
 * scans. A scan in RocksDB passes each tombstone that compaction has not yet dropped; rows that
 * come and go at the head of a queue leave thousands, and made a scan cost more than everything
 * else together (decision 0007).
 */
final class WorkingRows implements Rows {

  private static final int MACHINE = 1;

  /** A row since it was settled last. */
  private static final class Change {

    final byte @Nullable [] before;
    byte @Nullable [] now;

    Change(byte @Nullable [] before) {
      this.before = before;
    }
  }

  private final @Nullable Rows store;
  private final MapRows memory;
  private final boolean[] kinds = new boolean[256];
  private final TreeMap<byte[], Change> changes = new TreeMap<>(Arrays::compareUnsigned);
  private Digest digest;

  private WorkingRows(@Nullable Rows store, MapRows memory, Digest digest) {
    this.store = store;
    this.memory = memory;
    this.digest = digest;
  }

  /**
   * Takes up settled rows.
   *
   * @param kinds first characters of the machine's keys that are kept in memory, ASCII
   * @param digest of the rows
   */
  static WorkingRows over(Rows rows, String kinds, Digest digest) {
    if (rows instanceof MapRows all) {
      return new WorkingRows(null, all, digest);
    }
    WorkingRows working = new WorkingRows(rows, new MapRows(), digest);
    rows.visit(new byte[] {0}, new byte[] {1}, working::keep);
    for (byte kind : kinds.getBytes(StandardCharsets.US_ASCII)) {
      working.kinds[kind] = true;
      rows.visit(
          new byte[] {MACHINE, kind}, new byte[] {MACHINE, (byte) (kind + 1)}, working::keep);
    }
    return working;
  }

  private boolean keep(Row row) {
    memory.put(row.key(), row.value());
    return true;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    if (store == null || isKept(key)) {
      return memory.get(key);
    }
    Change change = changes.get(key);
    return change == null ? store.get(key) : change.now;
  }

  @Override
  public void put(byte[] key, byte[] value) {
    change(key).now = value;
    if (store == null || isKept(key)) {
      memory.put(key, value);
    }
  }

  @Override
  public void delete(byte[] key) {
    change(key).now = null;
    if (store == null || isKept(key)) {
      memory.delete(key);
    }
  }

  private Change change(byte[] key) {
    Change known = changes.get(key);
    if (known != null) {
      return known;
    }
    Change change = new Change(get(key));
    changes.put(key, change);
    return change;
  }

  @Override
  public void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor) {
    if (store == null || (to != null && isKept(from) && isWithin(from, to))) {
      memory.visit(from, to, visitor);
    } else {
      settle();
      store.visit(from, to, visitor);
    }
  }

  /** Writes what has changed. */
  void settle() {
    changes.forEach(
        (key, change) -> {
          if (!Arrays.equals(change.before, change.now)) {
            digest = digest.replace(key, change.before, change.now);
            if (store != null && change.now != null) {
              store.put(key, change.now);
            } else if (store != null) {
              store.delete(key);
            }
          }
        });
    changes.clear();
  }

  /** Returns how many rows have changed since they were settled. */
  int unsettled() {
    return changes.size();
  }

  /** Returns the digest of what was settled. */
  Digest digest() {
    return digest;
  }

  /** Writes the row that holds the digest, and is no part of it. */
  void putBeside(byte[] key, byte[] value) {
    (store == null ? memory : store).put(key, value);
  }

  private boolean isKept(byte[] key) {
    return key.length > 1 && (key[0] == 0 || kinds[key[1] & 0xff]);
  }

  /** Tells whether all keys of a range are of the kind that its first one is of. */
  private static boolean isWithin(byte[] from, byte[] to) {
    boolean same = to.length > 1 && to[0] == from[0] && to[1] == from[1];
    boolean next = to.length == 2 && to[0] == from[0] && to[1] == from[1] + 1;
    return same || next;
  }
}
