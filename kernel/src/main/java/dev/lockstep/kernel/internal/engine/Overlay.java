package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A machine's rows during one turn: writes are kept aside until the turn is accepted, so a rejected
 * record leaves nothing behind. Keys are shown without the byte that separates them from the
 * host's.
 */
final class Overlay implements Store {

  private final Rows base;
  private final TreeMap<byte[], Optional<byte[]>> writes = new TreeMap<>(Arrays::compareUnsigned);

  Overlay(Rows base) {
    this.base = base;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    byte[] full = Keys.ofMachine(key);
    Optional<byte[]> written = writes.get(full);
    return written != null ? written.orElse(null) : base.get(full);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    writes.put(Keys.ofMachine(key), Optional.of(value));
  }

  @Override
  public void delete(byte[] key) {
    writes.put(Keys.ofMachine(key), Optional.empty());
  }

  @Override
  public List<Row> scan(byte[] prefix, int limit) {
    byte[] from = Keys.ofMachine(prefix);
    return between(from, Keys.after(from), limit);
  }

  @Override
  public List<Row> range(byte[] from, byte[] to, int limit) {
    return Arrays.compareUnsigned(from, to) < 0
        ? between(Keys.ofMachine(from), Keys.ofMachine(to), limit)
        : List.of();
  }

  private List<Row> between(byte[] from, byte[] to, int limit) {
    Iterator<Map.Entry<byte[], Optional<byte[]>>> own =
        writes.subMap(from, true, to, false).entrySet().iterator();
    List<Row> found = new ArrayList<>();
    Merge merge = new Merge(own, found, limit);
    base.visit(from, to, merge::baseRow);
    merge.rest();
    return found;
  }

  /** Returns the writes in order of their keys; empty means deleted. */
  Map<byte[], Optional<byte[]>> writes() {
    return writes;
  }

  /** Writes the changes to other rows. */
  void writeTo(Rows rows) {
    writes.forEach(
        (key, value) -> value.ifPresentOrElse(row -> rows.put(key, row), () -> rows.delete(key)));
  }

  /** Two sorted sources into one: a write hides the base row of the same key. */
  private static final class Merge {

    private final Iterator<Map.Entry<byte[], Optional<byte[]>>> own;
    private final List<Row> found;
    private final int limit;
    private Map.@Nullable Entry<byte[], Optional<byte[]>> next;

    Merge(Iterator<Map.Entry<byte[], Optional<byte[]>>> own, List<Row> found, int limit) {
      this.own = own;
      this.found = found;
      this.limit = limit;
      step();
    }

    boolean baseRow(Row row) {
      while (next != null && Arrays.compareUnsigned(next.getKey(), row.key()) < 0) {
        takeOwn(next);
      }
      if (next != null && Arrays.equals(next.getKey(), row.key())) {
        takeOwn(next);
      } else {
        add(row.key(), row.value());
      }
      return found.size() < limit;
    }

    void rest() {
      while (next != null && found.size() < limit) {
        takeOwn(next);
      }
    }

    private void takeOwn(Map.Entry<byte[], Optional<byte[]>> entry) {
      entry.getValue().ifPresent(value -> add(entry.getKey(), value));
      step();
    }

    private void step() {
      next = own.hasNext() ? own.next() : null;
    }

    private void add(byte[] key, byte[] value) {
      if (found.size() < limit) {
        found.add(new Row(Keys.toMachine(key), value));
      }
    }
  }
}
