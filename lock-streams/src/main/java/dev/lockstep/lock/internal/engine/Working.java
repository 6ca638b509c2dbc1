package dev.lockstep.lock.internal.engine;

import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.BiConsumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/** What one turn read and changed of one kind of row: each is read once and written once. */
final class Working<K, V> {

  private final Function<K, @Nullable V> reader;
  private final BiConsumer<K, @Nullable V> writer;
  private final Map<K, Optional<V>> known = new HashMap<>();
  private final Set<K> changed = new LinkedHashSet<>();

  Working(Function<K, @Nullable V> reader, BiConsumer<K, @Nullable V> writer) {
    this.reader = reader;
    this.writer = writer;
  }

  @Nullable V get(K key) {
    Optional<V> value = known.get(key);
    if (value == null) {
      value = Optional.ofNullable(reader.apply(key));
      known.put(key, value);
    }
    return value.orElse(null);
  }

  /** Keeps a value, or that there is none. */
  void put(K key, @Nullable V value) {
    known.put(key, Optional.ofNullable(value));
    changed.add(key);
  }

  void write() {
    for (K key : changed) {
      writer.accept(key, get(key));
    }
    changed.clear();
  }
}
