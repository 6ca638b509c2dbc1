package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.LockLayout;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.PositionReceiver;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.Released;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Answers who held what, from the events topic: for audits and for people. Reads the partition of
 * the key from its beginning, so it costs as much as that holds; it reaches back as far as the
 * topic's retention does.
 */
public final class LockHistory {

  /**
   * One holding of a key.
   *
   * @param owner session or saga
   * @param onBehalfOf whom it was for; empty: nobody said, or the grant is no longer kept
   * @param token fencing token
   * @param from log time of the grant; null: before everything that is kept
   * @param to log time of its end; null: it has not ended
   * @param cause how it ended; empty: it has not
   */
  public record Holding(
      String owner,
      String onBehalfOf,
      long token,
      @Nullable Instant from,
      @Nullable Instant to,
      String cause) {

    private boolean isAt(Instant time) {
      return (from == null || !from.isAfter(time)) && (to == null || to.isAfter(time));
    }
  }

  private record Id(String owner, long number, long token) {}

  private static final Logger LOG = LoggerFactory.getLogger(LockHistory.class);

  private LockHistory() {}

  /**
   * Returns who held a key at a time.
   *
   * @param config how to reach Kafka
   * @param key lock key
   * @param time log time
   * @return holders at that time; several when it was shared
   * @throws LockException when the topics do not exist
   */
  public static List<Holding> holdersAt(LockstepConfig config, String key, Instant time) {
    return holdings(config, key).stream().filter(holding -> holding.isAt(time)).toList();
  }

  /**
   * Returns everybody who held a key, as far back as events are kept.
   *
   * @param config how to reach Kafka
   * @param key lock key
   * @return holdings in the order in which they began
   * @throws LockException when the topics do not exist
   */
  public static List<Holding> holdings(LockstepConfig config, String key) {
    Map<Id, Holding> holdings = new LinkedHashMap<>();
    PositionReceiver receiver = new PositionReceiver();
    SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
    TopicPartition partition =
        new TopicPartition(
            config.named(LockSchemas.EVENTS),
            Partitions.of(key, LockLayout.read(config).getPartitions()));
    Map<String, Object> settings = config.shortRead();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
      while (consumer.position(partition) < end) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
          try {
            EffectPosition position = EffectPosition.of(record.headers());
            if (position != null && receiver.receive(record) == PositionMark.Verdict.TAKE) {
              note(holdings, key, position.logTime(), codec.decode(record.value()));
            }
          } catch (SchemaException e) {
            LOG.debug(
                "{} offset {} says nothing about holders: {}",
                partition,
                record.offset(),
                e.getMessage());
          }
        }
      }
    }
    return new ArrayList<>(holdings.values());
  }

  private static void note(Map<Id, Holding> holdings, String key, long time, Object event) {
    Instant at = Instant.ofEpochMilli(time);
    if (event instanceof Granted granted && granted.getKey().equals(key)) {
      holdings.put(
          new Id(granted.getOwner(), granted.getNumber(), granted.getToken()),
          new Holding(
              granted.getOwner(), granted.getOnBehalfOf(), granted.getToken(), at, null, ""));
    } else if (event instanceof Released released && released.getKey().equals(key)) {
      Id id = new Id(released.getOwner(), released.getNumber(), released.getToken());
      Holding begun = holdings.get(id);
      holdings.put(
          id,
          new Holding(
              id.owner(),
              begun == null ? "" : begun.onBehalfOf(),
              id.token(),
              begun == null ? null : begun.from(),
              at,
              released.getCause().name()));
    }
  }
}
