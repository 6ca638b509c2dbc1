package dev.lockstep.kernel.internal.engine;

import java.nio.ByteBuffer;
import java.util.Arrays;
import org.apache.commons.codec.digest.MurmurHash3;
import org.jspecify.annotations.Nullable;

/**
 * Count and xor of the hashes of all rows but the one that keeps it. A restored store whose rows
 * give another digest is torn or stale (rule 5).
 *
 * <p>Hash: MurmurHash3 x64 128 of key length, key and value. A linear code such as CRC would not
 * do: equal changes in two rows would cancel each other.
 */
public record Digest(long rows, long xorHigh, long xorLow) {

  static final Digest EMPTY = new Digest(0, 0, 0);

  Digest replace(byte[] key, byte @Nullable [] before, byte @Nullable [] after) {
    Digest without = before == null ? this : toggle(key, before, -1);
    return after == null ? without : without.toggle(key, after, 1);
  }

  private Digest toggle(byte[] key, byte[] value, int count) {
    byte[] row =
        ByteBuffer.allocate(4 + key.length + value.length)
            .putInt(key.length)
            .put(key)
            .put(value)
            .array();
    long[] hash = MurmurHash3.hash128x64(row);
    return new Digest(rows + count, xorHigh ^ hash[0], xorLow ^ hash[1]);
  }

  /** Computes the digest of all rows but the fold's own. */
  static Digest of(Rows rows) {
    Digest[] digest = {EMPTY};
    rows.visit(
        new byte[0],
        null,
        row -> {
          if (!Arrays.equals(row.key(), Keys.FOLD)) {
            digest[0] = digest[0].toggle(row.key(), row.value(), 1);
          }
          return true;
        });
    return digest[0];
  }
}
