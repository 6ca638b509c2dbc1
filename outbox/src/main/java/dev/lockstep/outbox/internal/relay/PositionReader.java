package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

/**
 * Reads the last committed position of a shard, from the end backwards: a partition has one key and
 * hundreds of positions a second, and how many of them are compacted away is luck.
 */
final class PositionReader {

  private static final Duration TIMEOUT = Duration.ofSeconds(30);
  private static final long FIRST_DISTANCE = 16;

  private PositionReader() {}

  /**
   * Reads to the end as it is now. Called after {@code initTransactions}, which settles and fences
   * every earlier relay: nothing older can appear behind that end.
   */
  static RelayPosition read(LockstepConfig config, String topic, int shard) {
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", "read_committed");
    TopicPartition partition = new TopicPartition(topic, shard);
    long giveUp = System.nanoTime() + TIMEOUT.toNanos();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(partition));
      long begin = consumer.beginningOffsets(List.of(partition)).getOrDefault(partition, 0L);
      long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
      for (long distance = FIRST_DISTANCE; ; distance *= 16) {
        long from = Math.max(begin, end - distance);
        RelayPosition last = last(consumer, partition, from, end, giveUp);
        // markers and aborted transactions are offsets without a record
        if (last != null || from == begin) {
          return last == null ? RelayPosition.START : last;
        }
      }
    }
  }

  private static @Nullable RelayPosition last(
      KafkaConsumer<byte[], byte[]> consumer,
      TopicPartition partition,
      long from,
      long end,
      long giveUp) {
    RelayPosition position = null;
    consumer.seek(partition, from);
    while (consumer.position(partition) < end) {
      if (System.nanoTime() > giveUp) {
        throw new OutboxException(
            "Position in %s could not be read to %d within %s".formatted(partition, end, TIMEOUT));
      }
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
        position = RelayPosition.decode(record.value());
      }
    }
    return position;
  }
}
