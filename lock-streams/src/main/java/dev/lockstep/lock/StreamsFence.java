package dev.lockstep.lock;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.processor.api.FixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorContext;
import org.apache.kafka.streams.processor.api.FixedKeyProcessorSupplier;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.jspecify.annotations.Nullable;

/**
 * Checks fencing tokens in a Kafka Streams application: a record passes if none of the tokens in
 * its header {@value FencingHeader#NAME} is below one that passed before for the same lock key. A
 * holder that was paused past its lock is refused, whatever it believes.
 *
 * <p>The highest token of each lock key is kept in a state store of the application, so it survives
 * restarts, and with {@code exactly_once_v2} crashes. It is kept per partition: everything that one
 * lock guards must be keyed into one partition.
 *
 * <pre>{@code
 * stream.processValues(StreamsFence.refusing((record, refusal) -> LOG.warn("{}", refusal.getMessage())))
 * }</pre>
 */
public final class StreamsFence {

  private static final String STORE = "lockstep-fence";

  private StreamsFence() {}

  /**
   * Makes a processor that lets only records under current tokens pass.
   *
   * @param refused told of each record that does not pass: its token is stale, or it has none that
   *     can be read; called on the stream's thread
   * @param <K> type of the record's key
   * @param <V> type of the record's value
   * @return for {@code KStream.processValues}; brings its store along, one per topology
   */
  public static <K, V> FixedKeyProcessorSupplier<K, V, V> refusing(
      BiConsumer<FixedKeyRecord<K, V>, LockException> refused) {
    return new FixedKeyProcessorSupplier<>() {
      @Override
      public FixedKeyProcessor<K, V, V> get() {
        return new Guard<>(refused);
      }

      @Override
      public Set<StoreBuilder<?>> stores() {
        return Set.of(
            Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.Long()));
      }
    };
  }

  private static final class Guard<K, V> implements FixedKeyProcessor<K, V, V> {

    private final BiConsumer<FixedKeyRecord<K, V>, LockException> refused;
    private @Nullable FixedKeyProcessorContext<K, V> context;
    private @Nullable KeyValueStore<String, Long> highest;

    Guard(BiConsumer<FixedKeyRecord<K, V>, LockException> refused) {
      this.refused = refused;
    }

    @Override
    public void init(FixedKeyProcessorContext<K, V> given) {
      context = given;
      highest = given.getStateStore(STORE);
    }

    @Override
    public void process(FixedKeyRecord<K, V> record) {
      if (context == null || highest == null) {
        throw new IllegalStateException("Processed before init");
      }
      LockException refusal = refusal(highest, record);
      if (refusal == null) {
        context.forward(record);
      } else {
        refused.accept(record, refusal);
      }
    }

    private @Nullable LockException refusal(
        KeyValueStore<String, Long> known, FixedKeyRecord<K, V> record) {
      Header header = record.headers().lastHeader(FencingHeader.NAME);
      if (header == null) {
        return new LockException(
            "Record '%s' has no header %s: whoever wrote it held no lock"
                .formatted(record.key(), FencingHeader.NAME));
      }
      Map<String, Long> tokens;
      try {
        tokens = FencingHeader.parse(new String(header.value(), StandardCharsets.UTF_8));
      } catch (IllegalArgumentException e) {
        return new LockException("Record '" + record.key() + "': " + e.getMessage(), e);
      }
      for (Map.Entry<String, Long> each : tokens.entrySet()) {
        Long before = known.get(each.getKey());
        if (before != null && before > each.getValue()) {
          return new StaleTokenException(
              "Record '%s' stands under token %d of '%s', a record under %d passed before: its lock was lost"
                  .formatted(record.key(), each.getValue(), each.getKey(), before));
        }
      }
      tokens.forEach(known::put);
      return null;
    }
  }
}
