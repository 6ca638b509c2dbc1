package dev.lockstep.kernel.internal.engine;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Store.Row;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.BiPredicate;
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

  /** A row that is kept in memory, or that has changed since it was settled last. */
  private static final class Slot {

    static final int SETTLED = -1;

    final byte[] key;
    @Nullable Cell before;
    @Nullable Cell now;
    int place = SETTLED; // among the changed ones

    Slot(byte[] key) {
      this.key = key;
    }
  }

  private final @Nullable Rows store;
  private final TreeMap<byte[], Slot> slots = new TreeMap<>(Arrays::compareUnsigned);
  private final boolean[] kinds = new boolean[256];
  private final List<Slot> changed = new ArrayList<>();

  /** Kept rows that were deleted and not settled: a scan must not walk over them. */
  private final TreeMap<byte[], Slot> deleted = new TreeMap<>(Arrays::compareUnsigned);

  private Digest digest;

  /** A write failed: the digest counts other rows than are written, and may not be committed. */
  private boolean halfSettled;

  private WorkingRows(@Nullable Rows store, Digest digest) {
    this.store = store;
    this.digest = digest;
  }

  /**
   * Takes up settled rows.
   *
   * @param rows where changes are written to; {@link MapRows} are taken over as a whole instead
   * @param kinds first characters of the machine's keys that are kept in memory, ASCII
   * @param digest of the rows
   */
  static WorkingRows over(Rows rows, String kinds, Digest digest) {
    if (rows instanceof MapRows) {
      WorkingRows working = new WorkingRows(null, digest);
      rows.visit(new byte[0], null, working::keep);
      return working;
    }
    WorkingRows working = new WorkingRows(rows, digest);
    rows.visit(new byte[] {0}, new byte[] {1}, working::keep);
    for (byte kind : kinds.getBytes(StandardCharsets.US_ASCII)) {
      working.kinds[kind] = true;
      rows.visit(
          new byte[] {MACHINE, kind}, new byte[] {MACHINE, (byte) (kind + 1)}, working::keep);
    }
    return working;
  }

  private boolean keep(Row row) {
    Slot slot = new Slot(row.key());
    slot.now = Cell.of(row.value());
    slots.put(slot.key, slot);
    return true;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    Cell cell = cell(key);
    return cell == null ? null : cell.bytes();
  }

  /** Returns what a row holds; null: there is none. */
  @Nullable Cell cell(byte[] key) {
    Slot slot = slots.get(key);
    if (slot != null) {
      return slot.now;
    }
    return isKept(key) ? null : stored(key);
  }

  private @Nullable Cell stored(byte[] key) {
    byte[] value = requireNonNull(store).get(key);
    return value == null ? null : Cell.of(value);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    put(key, Cell.of(value));
  }

  @Override
  public void delete(byte[] key) {
    put(key, (Cell) null);
  }

  /** Writes a row; null: it is deleted. */
  void put(byte[] key, @Nullable Cell cell) {
    boolean kept = isKept(key);
    Slot slot = cell == null || !kept ? slots.get(key) : null;
    if (slot == null) {
      if (cell == null && kept) {
        return;
      }
      Slot gone = kept ? deleted.remove(key) : null;
      Slot fresh = gone == null ? new Slot(key) : gone;
      if (!kept) {
        fresh.now = stored(key);
      }
      Slot known = slots.putIfAbsent(key, fresh);
      slot = known == null ? fresh : known;
    }
    if (slot.place == Slot.SETTLED) {
      slot.before = slot.now;
      slot.place = changed.size();
      changed.add(slot);
    }
    slot.now = cell;
    if (cell == null && slot.before == null) {
      // it came and went
      slots.remove(key);
      forget(slot);
    } else if (cell == null && kept) {
      slots.remove(key);
      deleted.put(slot.key, slot);
    }
  }

  private void forget(Slot slot) {
    Slot last = changed.remove(changed.size() - 1);
    if (last != slot) {
      changed.set(slot.place, last);
      last.place = slot.place;
    }
  }

  @Override
  public void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor) {
    visitCells(from, to, (key, cell) -> visitor.test(new Row(key, cell.bytes())));
  }

  /** As {@link #visit}, but nothing is encoded. */
  void visitCells(byte[] from, byte @Nullable [] to, BiPredicate<byte[], Cell> visitor) {
    if (store != null && (to == null || !isKept(from) || !isWithin(from, to))) {
      settle();
      store.visit(from, to, row -> visitor.test(row.key(), Cell.of(row.value())));
      return;
    }
    NavigableMap<byte[], Slot> part =
        to == null ? slots.tailMap(from, true) : slots.subMap(from, true, to, false);
    for (Slot slot : part.values()) {
      if (slot.now != null && !visitor.test(slot.key, slot.now)) {
        return;
      }
    }
  }

  /**
   * Writes what has changed.
   *
   * @throws TornStateException when a write failed before, whatever it threw
   */
  void settle() {
    if (halfSettled) {
      throw new TornStateException(
          "A write of the state failed half way; the fold starts again from the committed state");
    }
    halfSettled = true;
    for (Slot slot : changed) {
      byte[] before = slot.before == null ? null : slot.before.bytes();
      byte[] now = slot.now == null ? null : slot.now.bytes();
      if (!Arrays.equals(before, now)) {
        digest = digest.replace(slot.key, before, now);
        if (store != null && now != null) {
          store.put(slot.key, now);
        } else if (store != null) {
          store.delete(slot.key);
        }
      }
      slot.before = null;
      slot.place = Slot.SETTLED;
      if (!isKept(slot.key)) {
        slots.remove(slot.key);
      } else if (slot.now != null) {
        slot.now.pack();
      }
    }
    changed.clear();
    deleted.clear();
    halfSettled = false;
  }

  /** Returns how many rows have changed since they were settled. */
  int unsettled() {
    return changed.size();
  }

  /** Returns how many rows a scan could walk over at most. */
  int inMemory() {
    return slots.size();
  }

  /** Returns the digest of what was settled. */
  Digest digest() {
    return digest;
  }

  /** Writes the row that holds the digest, and is no part of it. */
  void putBeside(byte[] key, byte[] value) {
    if (store == null) {
      keep(new Row(key, value));
    } else {
      store.put(key, value);
    }
  }

  private boolean isKept(byte[] key) {
    return store == null || (key.length > 1 && (key[0] == 0 || kinds[key[1] & 0xff]));
  }

  /** Tells whether all keys of a range are of the kind that its first one is of. */
  private static boolean isWithin(byte[] from, byte[] to) {
    boolean same = to.length > 1 && to[0] == from[0] && to[1] == from[1];
    boolean next = to.length == 2 && to[0] == from[0] && to[1] == from[1] + 1;
    return same || next;
  }
}
