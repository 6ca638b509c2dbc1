package dev.lockstep.example.pipeline.audit;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads a topic from begin to end, as a plain read_committed consumer does. */
final class TopicReader implements AutoCloseable {

  private static final Duration TIMEOUT = Duration.ofSeconds(60);

  private final KafkaConsumer<byte[], byte[]> consumer;

  TopicReader(LockstepConfig config) {
    Map<String, Object> settings = config.client();
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    settings.put("fetch.max.wait.ms", "10");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  /** Shows all records, each partition in order; returns how many. */
  long read(String topic, Consumer<ConsumerRecord<byte[], byte[]>> visitor) {
    List<TopicPartition> partitions = new ArrayList<>();
    consumer
        .partitionsFor(topic)
        .forEach(info -> partitions.add(new TopicPartition(topic, info.partition())));
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
    long giveUp = System.nanoTime() + TIMEOUT.toNanos();
    long records = 0;
    while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.getOrDefault(p, 0L))) {
      if (System.nanoTime() > giveUp) {
        throw new IllegalStateException(
            "Topic '%s' could not be read to its end within %s".formatted(topic, TIMEOUT));
      }
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
        visitor.accept(record);
        records++;
      }
    }
    return records;
  }

  @Override
  public void close() {
    consumer.close();
  }
}
