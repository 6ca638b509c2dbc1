package dev.lockstep.kernel.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Tick;
import dev.lockstep.schema.spi.RecordCodec;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class OverlayTest {

  private static final RecordCodec CODEC = new SingleObjectCodec(KernelSchemas.CATALOG);

  private final WorkingRows rows = WorkingRows.over(new MapRows(), "", Digest.EMPTY);

  private static byte[] bytes(String value) {
    return CODEC.encode(new Tick(value));
  }

  /** Written as bytes or as values, read as either: one truth. */
  @Test
  void valuesAndBytesAreTheSameRow() {
    Random random = new Random(20261122L);
    TreeMap<byte[], byte[]> plain = new TreeMap<>(Arrays::compareUnsigned);
    for (int turn = 0; turn < 2_000; turn++) {
      Overlay overlay = Overlay.of(rows);
      boolean accepted = random.nextInt(4) > 0;
      TreeMap<byte[], byte[]> after = new TreeMap<>(plain);
      for (int i = 0; i < 4; i++) {
        byte[] key = key(random);
        String value = "v" + random.nextInt(5);
        switch (random.nextInt(3)) {
          case 0 -> overlay.put(key, bytes(value));
          case 1 -> overlay.write(key, new Tick(value), CODEC);
          default -> overlay.delete(key);
        }
        byte[] now = overlay.get(key);
        if (now == null) {
          after.remove(key);
        } else {
          after.put(key, now);
        }
        requireSame(overlay, after, key(random));
      }
      if (accepted) {
        overlay.writeTo(rows);
        plain = after;
      }
      if (random.nextInt(20) == 0) {
        rows.settle();
      }
      requireSame(Overlay.of(rows), plain, key(random));
    }
    rows.settle();
    assertThat(rows.digest()).isEqualTo(Digest.of(rows));
  }

  private static void requireSame(Store store, NavigableMap<byte[], byte[]> expected, byte[] from) {
    byte[] row = expected.get(from);
    assertThat(store.get(from)).isEqualTo(row);
    assertThat(store.read(from, CODEC)).isEqualTo(row == null ? null : CODEC.decode(row));
    byte[] to = {(byte) (from[0] + 2)};
    List<byte[]> keys = List.copyOf(expected.subMap(from, true, to, false).keySet());
    assertThat(store.keys(from, to, 100)).usingElementComparator(Arrays::compare).isEqualTo(keys);
    assertThat(store.range(from, to, 100))
        .isEqualTo(keys.stream().map(key -> new Store.Row(key, expected.get(key))).toList());
    assertThat(store.keys(to, from, 100)).isEmpty();
  }

  /** A row that is read at every turn is decoded once. */
  @Test
  void valueIsKeptUntilItIsSettled() {
    byte[] key = {'k'};
    Overlay overlay = Overlay.of(rows);
    Tick written = new Tick("a");
    overlay.write(key, written, CODEC);
    overlay.writeTo(rows);

    assertThat(Overlay.of(rows).read(key, CODEC)).isSameAs(written);

    rows.settle();
    assertThat(Overlay.view(rows).read(key, CODEC))
        .isNotSameAs(Overlay.view(rows).read(key, CODEC));
    Object decoded = Overlay.of(rows).read(key, CODEC);
    assertThat(decoded).isEqualTo(written).isNotSameAs(written);
    assertThat(Overlay.of(rows).read(key, CODEC)).isSameAs(decoded);
  }

  private static byte[] key(Random random) {
    byte[] key = new byte[1 + random.nextInt(2)];
    for (int i = 0; i < key.length; i++) {
      key[i] = (byte) ('a' + random.nextInt(3));
    }
    return key;
  }
}
