package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.LockLayout;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.Revoke;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Orders of people about locks. Each stands in the lock log with who gave it and why: that is the
 * audit. Thread-safe.
 *
 * <p>An order names the token of the grant that it means, so it never hits a later holder. One that
 * comes too late is kept in the rejected topic with its reason.
 */
public final class LockAdmin implements AutoCloseable {

  private final String topic;
  private final int partitions;
  private final Clock clock = Clock.systemUTC();
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaProducer<byte[], byte[]> producer;

  private LockAdmin(LockstepConfig config, String topic, int partitions) {
    this.topic = topic;
    this.partitions = partitions;
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    this.producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /**
   * Connects.
   *
   * @param config how to reach Kafka
   * @return administration
   * @throws LockException when the lock topic has no Layout yet: create the topics first
   */
  public static LockAdmin connect(LockstepConfig config) {
    return new LockAdmin(
        config, config.named(LockSchemas.COMMANDS), LockLayout.read(config).getPartitions());
  }

  /**
   * Asks the holders of a key to give it back ({@link Lease#onRevokeAsked}).
   *
   * @param key lock key
   * @param token token of the grant that is meant
   * @param principal who orders it
   * @param reason why
   * @throws LockException when the order could not be written
   */
  public void revoke(String key, long token, String principal, String reason) {
    append(key, new Revoke(key, token, -1L, OperatorOrders.of(principal, reason, clock)));
  }

  /**
   * Asks the holders of a key to give it back, and takes it from them after a while.
   *
   * @param key lock key
   * @param token token of the grant that is meant
   * @param principal who orders it
   * @param reason why
   * @param grace until it is taken, elapsed log time
   * @throws LockException when the order could not be written
   */
  public void revoke(String key, long token, String principal, String reason, Duration grace) {
    if (grace.isNegative()) {
      throw new IllegalArgumentException("Grace must not be negative, is " + grace);
    }
    append(
        key, new Revoke(key, token, grace.toMillis(), OperatorOrders.of(principal, reason, clock)));
  }

  /**
   * Takes a key from its holders at once. They are told, but may write until they hear: guard what
   * they write by its token.
   *
   * @param key lock key
   * @param token token of the grant that is meant
   * @param principal who orders it
   * @param reason why
   * @throws LockException when the order could not be written
   */
  public void forceRelease(String key, long token, String principal, String reason) {
    append(key, new ForceRelease(key, token, OperatorOrders.of(principal, reason, clock)));
  }

  @Override
  public void close() {
    producer.close(Duration.ofSeconds(5));
  }

  /** Ends a request that waits. */
  void abort(String key, String owner, long acquire, String principal, String circle) {
    append(key, new AbortWait(owner, acquire, OperatorOrders.of(principal, circle, clock)));
  }

  private void append(String key, Object order) {
    try {
      producer
          .send(
              new ProducerRecord<>(
                  topic,
                  Partitions.of(key, partitions),
                  key.getBytes(StandardCharsets.UTF_8),
                  codec.encode(order)))
          .get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LockException("Order about '" + key + "' may not be written: interrupted", e);
    } catch (ExecutionException e) {
      throw new LockException("Order about '" + key + "' is not written", e);
    }
  }
}
