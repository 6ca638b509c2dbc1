package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store.Row;
import java.util.Arrays;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Rows in memory, for replays. */
public final class MapRows implements Rows {

  private final TreeMap<byte[], byte[]> rows = new TreeMap<>(Arrays::compareUnsigned);

  @Override
  public byte @Nullable [] get(byte[] key) {
    return rows.get(key);
  }

  @Override
  public void put(byte[] key, byte[] value) {
    rows.put(key, value);
  }

  @Override
  public void delete(byte[] key) {
    rows.remove(key);
  }

  @Override
  public void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor) {
    NavigableMap<byte[], byte[]> part =
        to == null ? rows.tailMap(from, true) : rows.subMap(from, true, to, false);
    for (Map.Entry<byte[], byte[]> entry : part.entrySet()) {
      if (!visitor.test(new Row(entry.getKey(), entry.getValue()))) {
        return;
      }
    }
  }
}
