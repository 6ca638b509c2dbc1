package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.spi.RecordCodec;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Reads and writes Layouts: in each input partition, then in the control topic. */
public final class ControlTopic implements AutoCloseable {

  private static final Duration READ_TIMEOUT = Duration.ofSeconds(30);

  private final Map<String, Object> client;
  private final String control;
  private final RecordCodec codec = new SingleObjectCodec(KernelSchemas.CATALOG);
  private final KafkaProducer<byte[], byte[]> producer;

  public ControlTopic(LockstepConfig config) {
    this.client = config.client();
    this.control = TopicPlan.controlTopic(config);
    Map<String, Object> settings = new HashMap<>(client);
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Returns the Layouts in force by input topic. */
  public Map<String, Layout> read() {
    Map<String, Layout> layouts = new HashMap<>();
    for (ConsumerRecord<byte[], byte[]> record : readAll(new TopicPartition(control, 0))) {
      if (record.value() != null) {
        layouts.put(
            new String(record.key(), StandardCharsets.UTF_8),
            (Layout) codec.decode(record.value()));
      }
    }
    return layouts;
  }

  /** Writes a topic's first Layout at offset 0 of every partition; completes a run cut short. */
  public void writeFirst(Layout layout) {
    List<Integer> empty = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      for (int i = 0; i < layout.getPartitions(); i++) {
        TopicPartition partition = new TopicPartition(layout.getTopic(), i);
        if (end(consumer, partition) == 0) {
          empty.add(i);
        } else {
          requireLayout(consumer, partition);
        }
      }
    }
    send(layout, empty);
  }

  /** Appends a Layout to every partition, then to the control topic. */
  public void announce(Layout layout) {
    List<Integer> all = new ArrayList<>();
    for (int i = 0; i < layout.getPartitions(); i++) {
      all.add(i);
    }
    send(layout, all);
  }

  @Override
  public void close() {
    producer.close();
  }

  private void send(Layout layout, List<Integer> partitions) {
    byte[] value = codec.encode(layout);
    byte[] key = layout.getTopic().getBytes(StandardCharsets.UTF_8);
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (int partition : partitions) {
      sent.add(producer.send(new ProducerRecord<>(layout.getTopic(), partition, key, value)));
    }
    await(sent, layout.getTopic());
    // last: whoever finds it here may rely on every partition having it
    await(List.of(producer.send(new ProducerRecord<>(control, 0, key, value))), control);
  }

  private static void await(List<Future<RecordMetadata>> sent, String topic) {
    for (Future<RecordMetadata> future : sent) {
      try {
        future.get();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new KernelException("Interrupted while writing a Layout to '" + topic + "'", e);
      } catch (ExecutionException e) {
        throw new KernelException(
            "Layout could not be written to '%s': %s; do it again".formatted(topic, e.getCause()),
            e);
      }
    }
  }

  private void requireLayout(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
    consumer.assign(List.of(partition));
    consumer.seekToBeginning(List.of(partition));
    if (consumer.position(partition) > 0) {
      throw new KernelException(
          "%s begins at offset %d and the control topic has no Layout for it: start a new topic epoch"
              .formatted(partition, consumer.position(partition)));
    }
    long end = System.nanoTime() + READ_TIMEOUT.toNanos();
    while (System.nanoTime() < end) {
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
        if (record.value() == null || !(codec.decode(record.value()) instanceof Layout)) {
          throw new KernelException(
              "%s holds records but no Layout at offset 0: somebody wrote to it too early; delete the topic and create it again"
                  .formatted(partition));
        }
        return;
      }
    }
    throw new KernelException(partition + " could not be read within " + READ_TIMEOUT);
  }

  private List<ConsumerRecord<byte[], byte[]>> readAll(TopicPartition partition) {
    List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
      consumer.assign(List.of(partition));
      consumer.seekToBeginning(List.of(partition));
      long last = end(consumer, partition);
      long end = System.nanoTime() + READ_TIMEOUT.toNanos();
      while (consumer.position(partition) < last) {
        if (System.nanoTime() > end) {
          throw new KernelException(partition + " could not be read within " + READ_TIMEOUT);
        }
        consumer.poll(Duration.ofMillis(200)).forEach(all::add);
      }
    }
    return all;
  }

  private static long end(KafkaConsumer<byte[], byte[]> consumer, TopicPartition partition) {
    return consumer.endOffsets(List.of(partition)).getOrDefault(partition, 0L);
  }

  private KafkaConsumer<byte[], byte[]> consumer() {
    Map<String, Object> settings = new HashMap<>(client);
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }
}
