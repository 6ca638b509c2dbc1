package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.spi.RecordCodec;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * A machine's rows during one turn: writes are kept aside until the turn is accepted, so a rejected
 * record leaves nothing behind. Keys are shown without the byte that separates them from the
 * host's.
 */
final class Overlay implements Store {

  private final WorkingRows base;
  private final boolean keepsValues;
  private final TreeMap<byte[], Optional<Cell>> writes = new TreeMap<>(Arrays::compareUnsigned);

  private Overlay(WorkingRows base, boolean keepsValues) {
    this.base = base;
    this.keepsValues = keepsValues;
  }

  /** For a turn, whose rows the next turns read again. */
  static Overlay of(WorkingRows base) {
    return new Overlay(base, true);
  }

  /** For people who look at the rows, perhaps at all of them. */
  static Overlay view(WorkingRows base) {
    return new Overlay(base, false);
  }

  private @Nullable Cell cell(byte[] key) {
    byte[] full = Keys.ofMachine(key);
    Optional<Cell> written = writes.get(full);
    return written != null ? written.orElse(null) : base.cell(full);
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    Cell cell = cell(key);
    return cell == null ? null : cell.bytes();
  }

  @Override
  public @Nullable Object read(byte[] key, RecordCodec codec) {
    Cell cell = cell(key);
    return cell == null ? null : cell.value(codec, keepsValues);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    writes.put(Keys.ofMachine(key), Optional.of(Cell.of(value)));
  }

  @Override
  public void write(byte[] key, Object value, RecordCodec codec) {
    writes.put(Keys.ofMachine(key), Optional.of(Cell.of(value, codec)));
  }

  @Override
  public void delete(byte[] key) {
    writes.put(Keys.ofMachine(key), Optional.empty());
  }

  @Override
  public List<Row> scan(byte[] prefix, int limit) {
    byte[] from = Keys.ofMachine(prefix);
    return between(from, Keys.after(from), limit, Overlay::row);
  }

  @Override
  public List<Row> range(byte[] from, byte[] to, int limit) {
    return Arrays.compareUnsigned(from, to) < 0
        ? between(Keys.ofMachine(from), Keys.ofMachine(to), limit, Overlay::row)
        : List.of();
  }

  @Override
  public List<byte[]> keys(byte[] from, byte[] to, int limit) {
    return Arrays.compareUnsigned(from, to) < 0
        ? between(
            Keys.ofMachine(from), Keys.ofMachine(to), limit, (key, cell) -> Keys.toMachine(key))
        : List.of();
  }

  private static Row row(byte[] key, Cell cell) {
    return new Row(Keys.toMachine(key), cell.bytes());
  }

  private <T> List<T> between(
      byte[] from, byte[] to, int limit, BiFunction<byte[], Cell, T> shape) {
    Iterator<Map.Entry<byte[], Optional<Cell>>> own =
        writes.isEmpty()
            ? Collections.emptyIterator()
            : writes.subMap(from, true, to, false).entrySet().iterator();
    List<T> found = new ArrayList<>();
    Merge<T> merge = new Merge<>(own, found, limit, shape);
    base.visitCells(from, to, merge::baseRow);
    merge.rest();
    return found;
  }

  /** Returns the writes in order of their keys; empty means deleted. */
  Map<byte[], Optional<byte[]>> writes() {
    Map<byte[], Optional<byte[]>> bytes = new TreeMap<>(Arrays::compareUnsigned);
    writes.forEach((key, cell) -> bytes.put(key, cell.map(Cell::bytes)));
    return bytes;
  }

  /** Writes the changes to other rows. */
  void writeTo(WorkingRows rows) {
    writes.forEach((key, cell) -> rows.put(key, cell.orElse(null)));
  }

  /** Two sorted sources into one: a write hides the base row of the same key. */
  private static final class Merge<T> {

    private final Iterator<Map.Entry<byte[], Optional<Cell>>> own;
    private final List<T> found;
    private final int limit;
    private final BiFunction<byte[], Cell, T> shape;
    private Map.@Nullable Entry<byte[], Optional<Cell>> next;

    Merge(
        Iterator<Map.Entry<byte[], Optional<Cell>>> own,
        List<T> found,
        int limit,
        BiFunction<byte[], Cell, T> shape) {
      this.own = own;
      this.found = found;
      this.limit = limit;
      this.shape = shape;
      step();
    }

    boolean baseRow(byte[] key, Cell cell) {
      while (next != null && Arrays.compareUnsigned(next.getKey(), key) < 0) {
        takeOwn(next);
      }
      if (next != null && Arrays.equals(next.getKey(), key)) {
        takeOwn(next);
      } else {
        add(key, cell);
      }
      return found.size() < limit;
    }

    void rest() {
      while (next != null && found.size() < limit) {
        takeOwn(next);
      }
    }

    private void takeOwn(Map.Entry<byte[], Optional<Cell>> entry) {
      entry.getValue().ifPresent(cell -> add(entry.getKey(), cell));
      step();
    }

    private void step() {
      next = own.hasNext() ? own.next() : null;
    }

    private void add(byte[] key, Cell cell) {
      if (found.size() < limit) {
        found.add(shape.apply(key, cell));
      }
    }
  }
}
