package dev.lockstep.kernel.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.Store.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class MirroredRowsTest {

  /** Whatever is written, read or scanned: as without the mirror, in the store and in it. */
  @Test
  void mirrorChangesNothing() {
    Random random = new Random(20261121L);
    for (int run = 0; run < 200; run++) {
      MapRows plain = new MapRows();
      MapRows store = new MapRows();
      for (int i = 0; i < 20; i++) {
        byte[] key = key(random);
        plain.put(key, value(random));
        store.put(key, plain.get(key));
      }
      MirroredRows rows = new MirroredRows(store, "bc");
      for (int i = 0; i < 300; i++) {
        byte[] key = key(random);
        if (random.nextInt(3) == 0) {
          plain.delete(key);
          rows.delete(key);
        } else {
          byte[] value = value(random);
          plain.put(key, value);
          rows.put(key, value);
        }
        byte[] other = key(random);
        assertThat(rows.get(other)).isEqualTo(plain.get(other));
        byte[] from = key(random);
        byte[] to = random.nextBoolean() ? key(random) : Keys.after(from);
        if (java.util.Arrays.compareUnsigned(from, to) <= 0) {
          assertThat(visit(rows, from, to)).isEqualTo(visit(plain, from, to));
        }
      }
      assertThat(visit(store, new byte[0], new byte[] {2}))
          .isEqualTo(visit(plain, new byte[0], new byte[] {2}));
      assertThat(Digest.of(rows)).isEqualTo(Digest.of(plain));
    }
  }

  private static List<Row> visit(Rows rows, byte[] from, byte[] to) {
    List<Row> found = new ArrayList<>();
    rows.visit(from, to, found::add);
    return found;
  }

  private static byte[] key(Random random) {
    if (random.nextInt(5) == 0) {
      return new byte[] {0, (byte) ('f' + random.nextInt(3))};
    }
    byte[] key = new byte[2 + random.nextInt(2)];
    key[0] = 1;
    key[1] = (byte) ('a' + random.nextInt(4));
    if (key.length > 2) {
      key[2] = (byte) (random.nextInt(4) - 2);
    }
    return key;
  }

  private static byte[] value(Random random) {
    return new byte[] {(byte) random.nextInt(100)};
  }
}
