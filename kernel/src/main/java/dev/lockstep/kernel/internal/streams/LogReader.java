package dev.lockstep.kernel.internal.streams;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Asks the brokers where a log begins and ends, and what stands at an offset. Thread-safe. */
public final class LogReader {

  /** Begin and end of a log; the end is the high watermark. */
  public record Range(long start, long end) {}

  private static final Duration PROBE = Duration.ofSeconds(5);

  private final Admin admin;
  private final Map<String, Object> consumerConfig;
  private final Duration timeout;

  public LogReader(Admin admin, LockstepConfig config, Duration timeout) {
    this.admin = admin;
    this.timeout = timeout;
    this.consumerConfig = config.shortRead();
    consumerConfig.put("isolation.level", "read_committed");
    consumerConfig.put("auto.offset.reset", "none");
  }

  /** Returns begin and end as they are now. */
  public Range range(TopicPartition partition) {
    long start = offset(partition, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED);
    long end = offset(partition, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED);
    return new Range(start, end);
  }

  /** Returns the offset of the first record at or behind {@code from}, if one comes soon. */
  OptionalLong firstFrom(TopicPartition partition, long from) {
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            consumerConfig, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(List.of(partition));
      consumer.seek(partition, from);
      long end = System.nanoTime() + PROBE.toNanos();
      while (System.nanoTime() < end) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          return OptionalLong.of(record.offset());
        }
      }
      return OptionalLong.empty();
    }
  }

  private long offset(TopicPartition partition, OffsetSpec spec, IsolationLevel level) {
    try {
      ListOffsetsResultInfo info =
          admin
              .listOffsets(Map.of(partition, spec), new ListOffsetsOptions(level))
              .partitionResult(partition)
              .get(timeout.toMillis(), TimeUnit.MILLISECONDS);
      return info.offset();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KafkaException("Interrupted while reading the offsets of " + partition, e);
    } catch (ExecutionException | TimeoutException e) {
      throw new KafkaException("Offsets of " + partition + " could not be read", e);
    }
  }
}
