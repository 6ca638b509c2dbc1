package dev.lockstep.kernel;

import dev.lockstep.schema.spi.RecordCodec;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A machine's state on one partition: rows in ascending order of their keys, compared as unsigned
 * bytes. Only for use during the turn that it was given for.
 */
public interface Store {

  /**
   * One row.
   *
   * @param key key
   * @param value value
   */
  @SuppressWarnings("ArrayRecordComponent") // equals compares the contents
  record Row(byte[] key, byte[] value) {

    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Row row
          && java.util.Arrays.equals(key, row.key)
          && java.util.Arrays.equals(value, row.value);
    }

    @Override
    public int hashCode() {
      return java.util.Arrays.hashCode(key);
    }
  }

  /**
   * Reads a row.
   *
   * @param key key
   * @return its value, or null when there is no such row
   */
  byte @Nullable [] get(byte[] key);

  /**
   * Writes a row.
   *
   * @param key key
   * @param value value; an earlier one is replaced
   */
  void put(byte[] key, byte[] value);

  /**
   * Reads a row as a value. It is decoded once, however often it is read until it is next written,
   * so nobody may ever change it.
   *
   * @param key key
   * @param codec how it was written
   * @return its value, or null when there is no such row
   */
  @Nullable Object read(byte[] key, RecordCodec codec);

  /**
   * Writes a row as a value, which nobody may change from now on. It is encoded when its bytes are
   * wanted, at the latest before the commit: a row that comes and goes in between never is.
   *
   * @param key key
   * @param value value that fits the codec; one that does not fails the commit
   * @param codec how to write it
   */
  void write(byte[] key, Object value, RecordCodec codec);

  /**
   * Removes a row; nothing happens when there is none.
   *
   * @param key key
   */
  void delete(byte[] key);

  /**
   * Reads the first rows whose keys begin with a prefix.
   *
   * @param prefix first bytes of the key
   * @param limit most rows to return, at least 1
   * @return rows in ascending order
   */
  List<Row> scan(byte[] prefix, int limit);

  /**
   * Reads the first rows of a range. What lies between the bounds costs nothing when it is empty,
   * so bounds may come from an input.
   *
   * @param from smallest key
   * @param to first key behind the range; at or below {@code from} the range is empty
   * @param limit most rows to return, at least 1
   * @return rows in ascending order
   */
  List<Row> range(byte[] from, byte[] to, int limit);

  /**
   * Reads the first keys of a range, as {@link #range} does, without their values.
   *
   * @param from smallest key
   * @param to first key behind the range; at or below {@code from} the range is empty
   * @param limit most keys to return, at least 1
   * @return keys in ascending order
   */
  List<byte[]> keys(byte[] from, byte[] to, int limit);
}
