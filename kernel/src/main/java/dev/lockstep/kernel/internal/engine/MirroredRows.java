package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store.Row;
import java.nio.charset.StandardCharsets;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Rows of which some kinds are kept in memory as well: the host's own, and those that a machine
 * scans. Every write goes to both.
 *
 * <p>A scan in RocksDB passes each tombstone that compaction has not yet dropped. Rows that come
 * and go at the head of a queue leave thousands, and made a scan cost more than everything else
 * together (decision 0007).
 */
public final class MirroredRows implements Rows {

  private static final int MACHINE = 1;

  private final Rows store;
  private final MapRows mirror = new MapRows();
  private final boolean[] kinds = new boolean[256];

  /**
   * Reads the rows to keep.
   *
   * @param kinds first characters of the machine's keys, ASCII
   */
  public MirroredRows(Rows store, String kinds) {
    this.store = store;
    store.visit(new byte[] {0}, new byte[] {1}, this::keep);
    for (byte kind : kinds.getBytes(StandardCharsets.US_ASCII)) {
      this.kinds[kind] = true;
      store.visit(new byte[] {MACHINE, kind}, new byte[] {MACHINE, (byte) (kind + 1)}, this::keep);
    }
  }

  private boolean keep(Row row) {
    mirror.put(row.key(), row.value());
    return true;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return isMirrored(key) ? mirror.get(key) : store.get(key);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    store.put(key, value);
    if (isMirrored(key)) {
      mirror.put(key, value);
    }
  }

  @Override
  public void delete(byte[] key) {
    store.delete(key);
    if (isMirrored(key)) {
      mirror.delete(key);
    }
  }

  @Override
  public void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor) {
    if (to != null && isMirrored(from) && isWithin(from, to)) {
      mirror.visit(from, to, visitor);
    } else {
      store.visit(from, to, visitor);
    }
  }

  private boolean isMirrored(byte[] key) {
    return key.length > 1 && (key[0] == 0 || kinds[key[1] & 0xff]);
  }

  /** Tells whether all keys of a range are of the kind that its first one is of. */
  private static boolean isWithin(byte[] from, byte[] to) {
    boolean same = to.length > 1 && to[0] == from[0] && to[1] == from[1];
    boolean next = to.length == 2 && to[0] == from[0] && to[1] == from[1] + 1;
    return same || next;
  }
}
