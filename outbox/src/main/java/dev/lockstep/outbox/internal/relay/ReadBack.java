package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Reads what was committed to topics since a time, up to their ends. Used by one thread. */
final class ReadBack implements AutoCloseable {

  /** Clocks of database and brokers may differ by so much. */
  static final Duration MARGIN = Duration.ofMinutes(10);

  /** What is read of a partition: from an offset up to another. */
  private record Stretch(long from, long end) {}

  private static final long TIMEOUT_SECONDS = 20;
  private static final Duration STUCK = Duration.ofMinutes(3);
  private static final int TELL_EVERY = 100_000;

  private final LockstepConfig config;
  private final Admin admin;

  ReadBack(LockstepConfig config) {
    this.config = config;
    this.admin = Admin.create(config.client());
  }

  /** Returns the topics that exist, with how many partitions they have. */
  Map<String, Integer> existing(Collection<String> topics) {
    Map<String, Integer> existing = new HashMap<>();
    for (Map.Entry<String, KafkaFuture<TopicDescription>> one :
        admin.describeTopics(topics).topicNameValues().entrySet()) {
      try {
        existing.put(one.getKey(), get(one.getValue()).partitions().size());
      } catch (OutboxException e) {
        if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
          throw e;
        }
      }
    }
    return existing;
  }

  /** Returns those of which old records of a key may be gone. */
  Set<String> compacted(Collection<String> topics) {
    return configs(topics).entrySet().stream()
        .filter(one -> value(one.getValue(), TopicConfig.CLEANUP_POLICY_CONFIG).contains("compact"))
        .map(Map.Entry::getKey)
        .collect(Collectors.toSet());
  }

  /**
   * Compares how far topics reach back.
   *
   * @param since time that they must reach back to
   * @param now by the same clock
   * @throws OutboxException when records that were written since may have been deleted
   */
  void requireReach(Map<String, Integer> topics, Instant since, Instant now) {
    if (!since.isBefore(now)) {
      return;
    }
    List<TopicPartition> partitions = partitions(topics);
    Map<TopicPartition, ListOffsetsResultInfo> begins = offsets(partitions, OffsetSpec.earliest());
    Map<TopicPartition, ListOffsetsResultInfo> firsts = offsets(partitions, since);
    Map<String, Config> configs = configs(topics.keySet());
    for (TopicPartition partition : partitions) {
      long begin = of(begins, partition).offset();
      ListOffsetsResultInfo first = of(firsts, partition);
      // with an older record left, none that came later was deleted
      boolean reaches = begin == 0 || first.offset() > begin;
      Config settings = Objects.requireNonNull(configs.get(partition.topic()));
      if (!reaches && mayBeDeleted(settings, Duration.between(since, now))) {
        Instant reach = first.offset() < 0 ? now : Instant.ofEpochMilli(first.timestamp());
        throw new OutboxException(
            "Topic partition %s reaches back to %s, and rows are older than that: what was published and is deleted there would be published again. If all rows written before %s were published, say so in the request (publishedBefore)"
                .formatted(partition, reach, reach.plus(MARGIN)));
      }
    }
  }

  private static boolean mayBeDeleted(Config settings, Duration age) {
    long millis = Long.parseLong(value(settings, TopicConfig.RETENTION_MS_CONFIG));
    long bytes = Long.parseLong(value(settings, TopicConfig.RETENTION_BYTES_CONFIG));
    return value(settings, TopicConfig.CLEANUP_POLICY_CONFIG).contains("delete")
        && (bytes >= 0 || (millis >= 0 && millis < age.toMillis()));
  }

  /**
   * Reads committed records, up to the ends that the partitions have now. Open transactions of
   * others are waited for: behind them may stand what is looked for.
   *
   * @param progress told now and then how far it is
   */
  void read(
      Map<String, Integer> topics,
      Instant since,
      Consumer<ConsumerRecord<byte[], byte[]>> reader,
      Consumer<String> progress) {
    Map<TopicPartition, Stretch> stretches = stretches(topics, since);
    long total = stretches.values().stream().mapToLong(s -> s.end() - s.from()).sum();
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", "read_committed");
    settings.put("max.poll.records", "5000");
    // a topic that is deleted by now must not come to life
    settings.put("allow.auto.create.topics", "false");
    long records = 0;
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      consumer.assign(stretches.keySet());
      stretches.forEach((partition, stretch) -> consumer.seek(partition, stretch.from()));
      Set<TopicPartition> left = new HashSet<>(stretches.keySet());
      long movedAt = System.nanoTime();
      while (!left.isEmpty()) {
        long before = behind(consumer, stretches);
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          reader.accept(record);
          records++;
          if (records % TELL_EVERY == 0) {
            progress.accept("read %d records of at most %d".formatted(records, total));
          }
        }
        // markers and aborted records are offsets without a record
        left.removeIf(p -> consumer.position(p) >= end(stretches, p));
        consumer.pause(stretches.keySet().stream().filter(p -> !left.contains(p)).toList());
        if (behind(consumer, stretches) != before) {
          movedAt = System.nanoTime();
        } else if (!left.isEmpty() && System.nanoTime() - movedAt > STUCK.toNanos()) {
          TopicPartition stuck = left.iterator().next();
          throw new OutboxException(
              "Topic partition %s cannot be read from offset %d to its end %d: somebody's transaction is open there, or its leader is away. End it (kafka-transactions.sh find-hanging, abort) and run again"
                  .formatted(stuck, consumer.position(stuck), end(stretches, stuck)));
        }
      }
    }
    progress.accept("read %d records".formatted(records));
  }

  private Map<TopicPartition, Stretch> stretches(Map<String, Integer> topics, Instant since) {
    List<TopicPartition> partitions = partitions(topics);
    Map<TopicPartition, ListOffsetsResultInfo> firsts = offsets(partitions, since);
    // not only up to where everything is committed: that may lie before an open transaction
    Map<TopicPartition, ListOffsetsResultInfo> ends = offsets(partitions, OffsetSpec.latest());
    Map<TopicPartition, Stretch> stretches = new HashMap<>();
    for (TopicPartition partition : partitions) {
      long from = of(firsts, partition).offset();
      long end = of(ends, partition).offset();
      if (from >= 0 && from < end) {
        stretches.put(partition, new Stretch(from, end));
      }
    }
    return stretches;
  }

  private static long behind(
      KafkaConsumer<byte[], byte[]> consumer, Map<TopicPartition, Stretch> stretches) {
    return stretches.keySet().stream().mapToLong(consumer::position).sum();
  }

  private static long end(Map<TopicPartition, Stretch> stretches, TopicPartition partition) {
    return Objects.requireNonNull(stretches.get(partition)).end();
  }

  private static List<TopicPartition> partitions(Map<String, Integer> topics) {
    List<TopicPartition> partitions = new ArrayList<>();
    topics.forEach(
        (topic, count) -> {
          for (int i = 0; i < count; i++) {
            partitions.add(new TopicPartition(topic, i));
          }
        });
    return partitions;
  }

  private Map<TopicPartition, ListOffsetsResultInfo> offsets(
      List<TopicPartition> partitions, Instant since) {
    return offsets(partitions, OffsetSpec.forTimestamp(Math.max(0, since.toEpochMilli())));
  }

  private Map<TopicPartition, ListOffsetsResultInfo> offsets(
      List<TopicPartition> partitions, OffsetSpec which) {
    return get(
        admin
            .listOffsets(
                partitions.stream().collect(Collectors.toMap(Function.identity(), p -> which)))
            .all());
  }

  private static ListOffsetsResultInfo of(
      Map<TopicPartition, ListOffsetsResultInfo> offsets, TopicPartition partition) {
    return Objects.requireNonNull(offsets.get(partition));
  }

  private Map<String, Config> configs(Collection<String> topics) {
    Map<ConfigResource, Config> all =
        get(
            admin
                .describeConfigs(
                    topics.stream()
                        .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                        .toList())
                .all());
    return all.entrySet().stream()
        .collect(Collectors.toMap(one -> one.getKey().name(), Map.Entry::getValue));
  }

  private static String value(Config config, String name) {
    return String.valueOf(Objects.requireNonNull(config.get(name)).value());
  }

  private static <T> T get(KafkaFuture<T> answer) {
    try {
      return answer.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at topics", e);
    } catch (ExecutionException e) {
      Throwable cause = Objects.requireNonNullElse(e.getCause(), e);
      throw new OutboxException("Topics cannot be looked at: " + cause, cause);
    } catch (TimeoutException e) {
      throw new OutboxException(
          "Topics cannot be looked at: no answer within %d s".formatted(TIMEOUT_SECONDS), e);
    }
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(2));
  }
}
