package dev.lockstep.kernel.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.kernel.Store.Row;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

class WorkingRowsTest {

  /** Whatever is written, read or scanned: as on plain rows; and so is what was settled. */
  @Test
  void readsWhatWasWrittenAndSettlesWhatIsLeftOfIt() {
    Random random = new Random(20261121L);
    for (int run = 0; run < 200; run++) {
      MapRows plain = new MapRows();
      Rows store = new Written(new ArrayList<>());
      for (int i = 0; i < 20; i++) {
        byte[] key = key(random);
        plain.put(key, value(random));
        store.put(key, plain.get(key));
      }
      WorkingRows rows = WorkingRows.over(store, "bc", Digest.of(store));
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
        if (random.nextInt(50) == 0) {
          rows.settle();
          assertThat(visit(store, new byte[0], new byte[] {2}))
              .isEqualTo(visit(plain, new byte[0], new byte[] {2}));
          assertThat(rows.digest()).isEqualTo(Digest.of(plain));
        }
        byte[] from = key(random);
        byte[] to = random.nextBoolean() ? key(random) : Keys.after(from);
        if (java.util.Arrays.compareUnsigned(from, to) <= 0) {
          assertThat(visit(rows, from, to)).isEqualTo(visit(plain, from, to));
        }
      }
      rows.settle();
      assertThat(visit(store, new byte[0], new byte[] {2}))
          .isEqualTo(visit(plain, new byte[0], new byte[] {2}));
      assertThat(rows.digest()).isEqualTo(Digest.of(plain));
    }
  }

  @Test
  void rowThatCameAndWentIsNotWritten() {
    List<byte[]> written = new ArrayList<>();
    Rows store = new Written(written);
    WorkingRows rows = WorkingRows.over(store, "b", Digest.EMPTY);
    for (byte kind : new byte[] {'a', 'b'}) {
      byte[] key = {1, kind};
      rows.put(key, new byte[] {1});
      rows.put(key, new byte[] {2});
      rows.delete(key);
    }
    byte[] kept = {1, 'b', 7};
    rows.put(kept, new byte[] {1});
    rows.put(kept, new byte[] {2});

    rows.settle();

    assertThat(written).containsExactly(kept);
  }

  /** Nobody settles a follower for a long time; heads of queues come and go meanwhile. */
  @Test
  void scanDoesNotWalkOverRowsThatWereDeleted() {
    MapRows store = new MapRows();
    for (int i = 0; i < 100; i++) {
      store.put(new byte[] {1, 'b', (byte) i}, new byte[] {1});
    }
    WorkingRows rows = WorkingRows.over(store, "", Digest.of(store));
    Digest before = rows.digest();
    for (int i = 0; i < 99; i++) {
      rows.delete(new byte[] {1, 'b', (byte) i});
    }

    assertThat(rows.inMemory()).isEqualTo(1);

    for (int i = 0; i < 99; i++) {
      rows.put(new byte[] {1, 'b', (byte) i}, new byte[] {1});
    }
    rows.settle();
    assertThat(rows.digest()).isEqualTo(before);
    assertThat(rows.inMemory()).isEqualTo(100);
  }

  /** Streams may ask for a commit again after a write that failed; its digest would be wrong. */
  @Test
  void refusesToSettleAgainWhenAWriteFailedHalfWay() {
    Rows store = new Refusing(new MapRows());
    WorkingRows rows = WorkingRows.over(store, "", Digest.EMPTY);
    rows.put(new byte[] {1, 'a'}, new byte[] {1});
    rows.put(new byte[] {1, 'b'}, new byte[] {1});

    assertThatThrownBy(rows::settle).isInstanceOf(IllegalStateException.class);

    assertThatThrownBy(rows::settle)
        .isInstanceOf(TornStateException.class)
        .hasMessageContaining("half way");
  }

  /** Rows of which one cannot be written. */
  private record Refusing(MapRows rows) implements Rows {

    @Override
    public byte[] get(byte[] key) {
      return rows.get(key);
    }

    @Override
    public void put(byte[] key, byte[] value) {
      if (key[1] == 'b') {
        throw new IllegalStateException("refused");
      }
      rows.put(key, value);
    }

    @Override
    public void delete(byte[] key) {
      rows.delete(key);
    }

    @Override
    public void visit(byte[] from, byte[] to, Predicate<Row> visitor) {
      rows.visit(from, to, visitor);
    }
  }

  /** Rows that remember who wrote. */
  private record Written(MapRows rows, List<byte[]> keys) implements Rows {

    Written(List<byte[]> keys) {
      this(new MapRows(), keys);
    }

    @Override
    public byte[] get(byte[] key) {
      return rows.get(key);
    }

    @Override
    public void put(byte[] key, byte[] value) {
      keys.add(key);
      rows.put(key, value);
    }

    @Override
    public void delete(byte[] key) {
      keys.add(key);
      rows.delete(key);
    }

    @Override
    public void visit(byte[] from, byte[] to, Predicate<Row> visitor) {
      rows.visit(from, to, visitor);
    }
  }

  private static List<Row> visit(Rows rows, byte[] from, byte[] to) {
    List<Row> found = new ArrayList<>();
    rows.visit(from, to, found::add);
    return found;
  }

  private static byte[] key(Random random) {
    if (random.nextInt(5) == 0) {
      return new byte[] {0, (byte) ('l' + random.nextInt(3))};
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
