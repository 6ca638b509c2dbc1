package dev.lockstep.kernel.internal.engine;

import static java.util.Objects.requireNonNull;

import dev.lockstep.schema.spi.RecordCodec;
import org.jspecify.annotations.Nullable;

/**
 * What a row holds: bytes, the value that they stand for, or both. Most rows of a short life are
 * never wanted as bytes, and most reads want the value again; each is made of the other when it is
 * asked for. Not thread-safe.
 */
final class Cell {

  private byte @Nullable [] bytes;
  private @Nullable Object value;
  private @Nullable RecordCodec codec;

  private Cell(byte @Nullable [] bytes, @Nullable Object value, @Nullable RecordCodec codec) {
    this.bytes = bytes;
    this.value = value;
    this.codec = codec;
  }

  static Cell of(byte[] bytes) {
    return new Cell(bytes, null, null);
  }

  /** Keeps a value, which nobody changes from now on. */
  static Cell of(Object value, RecordCodec codec) {
    return new Cell(null, value, codec);
  }

  byte[] bytes() {
    byte[] known = bytes;
    if (known == null) {
      known = requireNonNull(codec).encode(requireNonNull(value));
      bytes = known;
    }
    return known;
  }

  /**
   * Returns the value; nobody may change it.
   *
   * @param keep for whoever reads it next: not for those who read every row once
   */
  Object value(RecordCodec reader, boolean keep) {
    if (value != null) {
      return value;
    }
    Object decoded = reader.decode(requireNonNull(bytes));
    if (keep) {
      value = decoded;
    }
    return decoded;
  }

  /** Keeps the bytes alone: rows that stay for long are many. */
  void pack() {
    bytes();
    value = null;
    codec = null;
  }
}
