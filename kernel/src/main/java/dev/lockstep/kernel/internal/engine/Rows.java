package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Store.Row;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Where a fold keeps its rows; ordered by unsigned bytes. */
public interface Rows {

  byte @Nullable [] get(byte[] key);

  void put(byte[] key, byte[] value);

  void delete(byte[] key);

  /** Shows the rows with {@code from <= key < to} (null: no end) until the visitor says false. */
  void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor);
}
