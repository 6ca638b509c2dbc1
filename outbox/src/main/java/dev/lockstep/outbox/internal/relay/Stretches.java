package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

/** Reads stretches of partitions, in a bounded time, on the caller's thread. */
final class Stretches {

  /** Longer than the transaction of somebody else is open where Kafka's defaults hold. */
  private static final Duration AT_MOST = Duration.ofSeconds(60);

  private static final String ANSWER_MS = "10000";

  private Stretches() {}

  /** Reads a partition to its end, whatever became of the records. */
  static void readAll(
      LockstepConfig config,
      TopicPartition partition,
      long from,
      Consumer<ConsumerRecord<byte[], byte[]>> reader) {
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(config, "read_uncommitted")) {
      consumer.assign(List.of(partition));
      long end = of(consumer.endOffsets(List.of(partition)), partition);
      consumer.seek(partition, from);
      read(consumer, Map.of(partition, end), reader);
    }
  }

  /**
   * Reads what is committed in partitions since a time, up to an offset in each or else to its end.
   * A transaction of somebody else is waited for: behind it may stand what is looked for.
   *
   * @throws OutboxException when it stays open
   */
  static void readCommitted(
      LockstepConfig config,
      Set<TopicPartition> partitions,
      long sinceMillis,
      Map<TopicPartition, Long> upTo,
      Consumer<ConsumerRecord<byte[], byte[]>> reader) {
    Map<TopicPartition, Long> ends;
    Map<TopicPartition, Long> times = new HashMap<>();
    partitions.forEach(partition -> times.put(partition, Math.max(0, sinceMillis)));
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(config, "read_uncommitted")) {
      // what is committed alone may end before an open transaction
      ends = new HashMap<>(consumer.endOffsets(partitions));
      ends.putAll(upTo);
    }
    try (KafkaConsumer<byte[], byte[]> consumer = consumer(config, "read_committed")) {
      Map<TopicPartition, @Nullable OffsetAndTimestamp> firsts = consumer.offsetsForTimes(times);
      ends.keySet()
          .removeIf(
              partition -> {
                OffsetAndTimestamp first = firsts.get(partition);
                return first == null || first.offset() >= of(ends, partition);
              });
      consumer.assign(ends.keySet());
      ends.keySet()
          .forEach(
              partition ->
                  consumer.seek(partition, Objects.requireNonNull(firsts.get(partition)).offset()));
      read(consumer, ends, reader);
    }
  }

  private static void read(
      KafkaConsumer<byte[], byte[]> consumer,
      Map<TopicPartition, Long> ends,
      Consumer<ConsumerRecord<byte[], byte[]>> reader) {
    long giveUp = System.nanoTime() + AT_MOST.toNanos();
    Set<TopicPartition> left = new HashSet<>(ends.keySet());
    left.removeIf(partition -> consumer.position(partition) >= of(ends, partition));
    while (!left.isEmpty()) {
      if (System.nanoTime() > giveUp) {
        TopicPartition stuck = left.iterator().next();
        throw new OutboxException(
            "Topic partition %s could not be read from offset %d to %d within %s: somebody's transaction is open there, or its leader is away"
                .formatted(stuck, consumer.position(stuck), of(ends, stuck), AT_MOST));
      }
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
        if (record.offset() < of(ends, new TopicPartition(record.topic(), record.partition()))) {
          reader.accept(record);
        }
      }
      // markers and aborted records are offsets without a record
      left.removeIf(partition -> consumer.position(partition) >= of(ends, partition));
      consumer.pause(ends.keySet().stream().filter(p -> !left.contains(p)).toList());
    }
  }

  private static KafkaConsumer<byte[], byte[]> consumer(LockstepConfig config, String isolation) {
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", isolation);
    settings.put("default.api.timeout.ms", ANSWER_MS);
    settings.put("allow.auto.create.topics", "false");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  private static long of(Map<TopicPartition, Long> offsets, TopicPartition partition) {
    return Objects.requireNonNull(offsets.get(partition));
  }
}
