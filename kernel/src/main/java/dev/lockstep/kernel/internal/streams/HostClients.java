package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.HostOptions;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaClientSupplier;

/** The only place where the clients of a host are made. */
final class HostClients implements KafkaClientSupplier {

  private static final Duration SETTLE_MARGIN = Duration.ofMillis(500);

  private final HostOptions options;
  private final StoppedPartitions stopped;
  private final Backoff backoff;
  private final AtomicInteger lanes = new AtomicInteger();

  HostClients(HostOptions options, StoppedPartitions stopped, Backoff backoff) {
    this.options = options;
    this.stopped = stopped;
    this.backoff = backoff;
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
    return new HostProducer(config, lane(config));
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
    HostOptions.Timeouts timeouts = options.timeouts();
    Map<String, Object> config = new HashMap<>(options.config().client());
    config.put("client.id", transactional.get("client.id") + "-express-" + lanes.incrementAndGet());
    config.put("acks", "all");
    config.put("enable.idempotence", "true");
    // five in flight lose order at a failure: 9 of 40 runs had gaps (decision 0002)
    config.put("max.in.flight.requests.per.connection", "1");
    config.put("linger.ms", "0");
    config.put("batch.size", Integer.toString(128 * 1024));
    config.put("request.timeout.ms", Long.toString(timeouts.request().toMillis()));
    config.put("delivery.timeout.ms", Long.toString(timeouts.delivery().toMillis()));
    config.put("max.block.ms", Long.toString(timeouts.delivery().toMillis()));
    config.put("retry.backoff.ms", "5");
    options
        .clientSettings()
        .forEach(
            (key, value) -> {
              if (key.startsWith("express.")) {
                config.put(key.substring("express.".length()), value);
              }
            });
    return new ExpressLane(
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()),
        timeouts.delivery().plus(SETTLE_MARGIN),
        backoff::onFailure);
  }
}
