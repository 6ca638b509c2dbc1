package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueIterator;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.WrappedStateStore;

/**
 * A store that lets the fold write what has changed before each commit.
 *
 * <p>Kafka Streams has no public call for that moment, only one for its own caches: {@code
 * flushCache}, which comes before it collects the offsets and flushes the changelog's producer, in
 * every path that commits. Decision 0003 lists it among the behaviours of Streams that tests pin.
 */
final class SettledStore extends WrappedStateStore<KeyValueStore<Bytes, byte[]>, Bytes, byte[]>
    implements KeyValueStore<Bytes, byte[]> {

  private Runnable settle = () -> {};

  private SettledStore(KeyValueStore<Bytes, byte[]> wrapped) {
    super(wrapped);
  }

  /** Returns the one that a processor was given. */
  static SettledStore in(StateStore given) {
    return requireNonNull(((WrappedStateStore<?, ?, ?>) given).findInner(SettledStore.class));
  }

  /** Says what to do before each commit; runs on the StreamThread. */
  void beforeCommit(Runnable task) {
    settle = task;
  }

  @Override
  public void flushCache() {
    // effects wait for nothing: neither for these writes nor for their answers
    ExpressLane.sendHeldOfThread();
    settle.run();
    super.flushCache();
  }

  @Override
  public void clearCache() {
    // the task goes on as a standby: nothing of its last fold may come into the store
    settle = () -> {};
    super.clearCache();
  }

  @Override
  public byte[] get(Bytes key) {
    return wrapped().get(key);
  }

  @Override
  public void put(Bytes key, byte[] value) {
    wrapped().put(key, value);
  }

  @Override
  public byte[] putIfAbsent(Bytes key, byte[] value) {
    return wrapped().putIfAbsent(key, value);
  }

  @Override
  public void putAll(List<KeyValue<Bytes, byte[]>> entries) {
    wrapped().putAll(entries);
  }

  @Override
  public byte[] delete(Bytes key) {
    return wrapped().delete(key);
  }

  @Override
  public KeyValueIterator<Bytes, byte[]> range(Bytes from, Bytes to) {
    return wrapped().range(from, to);
  }

  @Override
  public KeyValueIterator<Bytes, byte[]> all() {
    return wrapped().all();
  }

  @Override
  public long approximateNumEntries() {
    return wrapped().approximateNumEntries();
  }

  /** Builds it around another store. */
  record Builder(StoreBuilder<KeyValueStore<Bytes, byte[]>> inner)
      implements StoreBuilder<KeyValueStore<Bytes, byte[]>> {

    @Override
    public KeyValueStore<Bytes, byte[]> build() {
      return new SettledStore(inner.build());
    }

    @Override
    public StoreBuilder<KeyValueStore<Bytes, byte[]>> withCachingEnabled() {
      return new Builder(inner.withCachingEnabled());
    }

    @Override
    public StoreBuilder<KeyValueStore<Bytes, byte[]>> withCachingDisabled() {
      return new Builder(inner.withCachingDisabled());
    }

    @Override
    public StoreBuilder<KeyValueStore<Bytes, byte[]>> withLoggingEnabled(
        Map<String, String> config) {
      return new Builder(inner.withLoggingEnabled(config));
    }

    @Override
    public StoreBuilder<KeyValueStore<Bytes, byte[]>> withLoggingDisabled() {
      return new Builder(inner.withLoggingDisabled());
    }

    @Override
    public Map<String, String> logConfig() {
      return inner.logConfig();
    }

    @Override
    public boolean loggingEnabled() {
      return inner.loggingEnabled();
    }

    @Override
    public String name() {
      return inner.name();
    }
  }
}
