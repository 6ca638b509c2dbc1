package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.KernelException;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.state.FoldState;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

/** Reads partitions from their begin to the stable end they have now. Not thread-safe. */
public final class TopicDump implements AutoCloseable {

  private static final Duration TIMEOUT = Duration.ofSeconds(60);
  private static final byte[] FOLD_ROW = {0, 'f'};

  private final LockstepConfig config;
  private final KafkaConsumer<byte[], byte[]> consumer;

  public TopicDump(LockstepConfig config) {
    this.config = config;
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", "read_committed");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }

  @Override
  public void close() {
    consumer.close();
  }

  /** Returns the Layout in force of an input topic. */
  public @Nullable Layout layout(String topic) {
    try (ControlTopic control = new ControlTopic(config)) {
      return control.read().get(topic);
    }
  }

  /** Returns all committed records of a partition. */
  public List<ConsumerRecord<byte[], byte[]>> read(TopicPartition partition) {
    List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
    consumer.assign(List.of(partition));
    consumer.seekToBeginning(List.of(partition));
    long end = consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
    long giveUp = System.nanoTime() + TIMEOUT.toNanos();
    while (consumer.position(partition) < end) {
      if (System.nanoTime() > giveUp) {
        throw new KernelException(
            "%s could not be read to %d within %s, got to %d"
                .formatted(partition, end, TIMEOUT, consumer.position(partition)));
      }
      consumer.poll(Duration.ofMillis(100)).forEach(all::add);
    }
    return all;
  }

  /** Returns the committed rows of a state partition. */
  public Map<byte[], byte[]> changelog(String applicationId, int partition) {
    TreeMap<byte[], byte[]> rows = new TreeMap<>(Arrays::compareUnsigned);
    String topic = StreamsSettings.changelog(applicationId);
    for (ConsumerRecord<byte[], byte[]> record : read(new TopicPartition(topic, partition))) {
      if (record.value() == null) {
        rows.remove(record.key());
      } else {
        rows.put(record.key(), record.value());
      }
    }
    return rows;
  }

  /** Returns where the fold stood that left these rows; -1 when it left none. */
  public static long nextOffsetOf(Map<byte[], byte[]> rows) {
    byte[] row = rows.get(FOLD_ROW);
    return row == null ? -1 : fold(row).getNextOffset();
  }

  /** Returns a row as a person can read it: the fold's own by its fields, others as hex. */
  public static String describe(byte[] key, byte @Nullable [] row) {
    if (row == null) {
      return "nothing";
    }
    return Arrays.equals(key, FOLD_ROW)
        ? fold(row).toString()
        : "0x" + HexFormat.of().formatHex(row);
  }

  private static FoldState fold(byte[] row) {
    return (FoldState) new SingleObjectCodec(KernelSchemas.CATALOG).decode(row);
  }
}
