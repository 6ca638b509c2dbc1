package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.HostOptions;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.streams.KafkaClientSupplier;

/** The only place where the clients of a host are made. */
final class HostClients implements KafkaClientSupplier {

  private final HostOptions options;
  private final StoppedPartitions stopped;
  private final Backoff backoff;
  private final HostMeter meter;
  private final AtomicInteger lanes = new AtomicInteger();

  HostClients(HostOptions options, StoppedPartitions stopped, Backoff backoff, HostMeter meter) {
    this.options = options;
    this.stopped = stopped;
    this.backoff = backoff;
    this.meter = meter;
  }

  @Override
  public Admin getAdmin(Map<String, Object> config) {
    return Admin.create(config);
  }

  @Override
  public Producer<byte[], byte[]> getProducer(Map<String, Object> config) {
    // Streams makes a new producer, and so a new lane, after every failure of one: wait here,
    // before
    // the first send, or each round would repeat all effects since a commit that no longer moves
    backoff.beforeNewLane();
    return new HostProducer(config, lane(config), meter);
  }

  @Override
  public Consumer<byte[], byte[]> getConsumer(Map<String, Object> config) {
    return new HostConsumer(config, stopped);
  }

  @Override
  public Consumer<byte[], byte[]> getRestoreConsumer(Map<String, Object> config) {
    return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  @Override
  public Consumer<byte[], byte[]> getGlobalConsumer(Map<String, Object> config) {
    return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private ExpressLane lane(Map<String, Object> transactional) {
    return ExpressLane.open(
        options,
        transactional.get("client.id") + "-express-" + lanes.incrementAndGet(),
        backoff::onFailure,
        meter);
  }
}
