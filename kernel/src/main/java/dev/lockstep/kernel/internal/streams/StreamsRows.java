package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.Store.Row;
import dev.lockstep.kernel.internal.engine.Rows;
import java.util.function.Predicate;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.jspecify.annotations.Nullable;

/** Rows in a state store of Kafka Streams, written to its changelog. */
final class StreamsRows implements Rows {

  private final KeyValueStore<Bytes, byte[]> store;

  StreamsRows(KeyValueStore<Bytes, byte[]> store) {
    this.store = store;
  }

  @Override
  public byte @Nullable [] get(byte[] key) {
    return store.get(Bytes.wrap(key));
  }

  @Override
  public void put(byte[] key, byte[] value) {
    store.put(Bytes.wrap(key), value);
  }

  @Override
  public void delete(byte[] key) {
    store.delete(Bytes.wrap(key));
  }

  @Override
  public void visit(byte[] from, byte @Nullable [] to, Predicate<Row> visitor) {
    // range() ends with its upper key, visit() before it
    try (KeyValueIterator<Bytes, byte[]> rows =
        store.range(Bytes.wrap(from), to == null ? null : Bytes.wrap(to))) {
      while (rows.hasNext()) {
        KeyValue<Bytes, byte[]> row = rows.next();
        byte[] key = row.key.get();
        if (to != null && java.util.Arrays.equals(key, to)) {
          return;
        }
        if (!visitor.test(new Row(key, row.value))) {
          return;
        }
      }
    }
  }
}
