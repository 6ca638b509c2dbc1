package dev.lockstep.kernel.internal.follow;

import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.internal.engine.MapRows;
import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads the committed state of a host from its changelog, up to the stable end that it has at the
 * start. Not thread-safe.
 *
 * <p>Records behind that end are left alone: they would be rows of a later commit, and which of
 * them a compacted log still has is luck (research: rule6-review, F3).
 */
final class Seed {

  /**
   * Half of the changelog's min.compaction.lag: within it no row below the end can be compacted
   * away because of a newer one behind the end.
   */
  static final Duration LONGEST = Duration.ofSeconds(30);

  private static final Duration POLL = Duration.ofMillis(200);

  private Seed() {}

  /**
   * Reads a partition.
   *
   * @return its rows; none when no host has committed yet
   * @throws KernelException when it takes too long: begin again
   */
  static MapRows read(LockstepConfig config, TopicPartition changelog) {
    MapRows rows = new MapRows();
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", "read_committed");
    settings.put("allow.auto.create.topics", "false");
    settings.put("max.poll.records", "10000");
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      if (consumer.partitionsFor(changelog.topic()).isEmpty()) {
        return rows;
      }
      consumer.assign(List.of(changelog));
      consumer.seekToBeginning(List.of(changelog));
      long end = consumer.endOffsets(List.of(changelog)).getOrDefault(changelog, 0L);
      long giveUp = System.nanoTime() + LONGEST.toNanos();
      while (consumer.position(changelog) < end) {
        if (System.nanoTime() > giveUp) {
          throw new KernelException(
              "%s could not be read to %d within %s, got to %d: a longer seed may miss rows that are compacted meanwhile"
                  .formatted(changelog, end, LONGEST, consumer.position(changelog)));
        }
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
          apply(rows, record, end);
        }
      }
      return rows;
    }
  }

  private static void apply(MapRows rows, ConsumerRecord<byte[], byte[]> record, long end) {
    if (record.offset() >= end) {
      return;
    }
    if (record.value() == null) {
      rows.delete(record.key());
    } else {
      rows.put(record.key(), record.value());
    }
  }
}
