package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.OutboxException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads the last committed position of a shard. */
final class PositionReader {

  private static final Duration TIMEOUT = Duration.ofSeconds(30);

  private PositionReader() {}

  /**
   * Reads to the end as it is now. Called after {@code initTransactions}, which settles and fences
   * every earlier relay: nothing older can appear behind that end.
   */
  static RelayPosition read(Map<String, Object> client, String topic, int shard) {
    Map<String, Object> settings = new HashMap<>(client);
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    // close() waits for the fetch that is under way, half a second by default
    settings.put("fetch.max.wait.ms", "10");
    TopicPartition partition = new TopicPartition(topic, shard);
    RelayPosition position = RelayPosition.START;
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
      long giveUp = System.nanoTime() + TIMEOUT.toNanos();
      while (consumer.position(partition) < end) {
        if (System.nanoTime() > giveUp) {
          throw new OutboxException(
              "Position in %s could not be read to %d within %s"
                  .formatted(partition, end, TIMEOUT));
        }
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          position = RelayPosition.decode(record.value());
        }
      }
    }
    return position;
  }
}
