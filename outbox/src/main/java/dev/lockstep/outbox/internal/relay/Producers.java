package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.RelayOptions;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Producers of a shard. */
final class Producers {

  /** A request of any size is sent: the brokers' limit counts, not a second one in the client. */
  private static final int LARGEST_REQUEST = 64 << 20;

  /**
   * Shorter than any transaction timeout: a topic that goes away holds up its shard for so long.
   */
  private static final Duration DELIVERY = Duration.ofSeconds(10);

  private Producers() {}

  /** What all owners of a shard share, one after the other. */
  static String transactionalId(RelayOptions options, int shard) {
    return options.config().named("lockstep-outbox-" + options.name() + "-" + shard);
  }

  /** The producer whose transactional id fences every earlier owner of the shard. */
  static KafkaProducer<byte[], byte[]> transactional(RelayOptions options, int shard) {
    Map<String, Object> settings = common(options);
    settings.put("transactional.id", transactionalId(options, shard));
    settings.put("transaction.timeout.ms", (int) options.transactionTimeout().toMillis());
    settings.put("delivery.timeout.ms", (int) DELIVERY.toMillis());
    settings.put("request.timeout.ms", "4000");
    settings.put("max.block.ms", DELIVERY.toMillis());
    // a transaction that begins while the markers of the last one are written is sent back: its
    // pauses must not double
    settings.put("retry.backoff.ms", "5");
    settings.put("retry.backoff.max.ms", "5");
    return plain(settings);
  }

  /** The producer of the express lane: one request in flight, so that n has no gaps. */
  static KafkaProducer<byte[], byte[]> express(RelayOptions options) {
    Map<String, Object> settings = common(options);
    settings.put("acks", "all");
    settings.put("enable.idempotence", "true");
    settings.put("max.in.flight.requests.per.connection", "1");
    settings.put("request.timeout.ms", "4000");
    settings.put("delivery.timeout.ms", (int) DELIVERY.toMillis());
    settings.put("max.block.ms", DELIVERY.toMillis());
    return plain(settings);
  }

  /** A producer with the settings that are given. */
  static KafkaProducer<byte[], byte[]> plain(Map<String, Object> settings) {
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private static Map<String, Object> common(RelayOptions options) {
    Map<String, Object> settings = options.config().client();
    // of no consequence for the last rows of a page: a commit, or a flush, sends them at once
    settings.put("linger.ms", "50");
    settings.put("batch.size", 128 * 1024);
    settings.put("max.request.size", LARGEST_REQUEST);
    // a topic that is away must be seen as away within its patience, not after five minutes
    settings.put("metadata.max.age.ms", "10000");
    return settings;
  }
}
