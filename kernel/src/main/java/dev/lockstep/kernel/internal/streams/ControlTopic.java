package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.NextEpoch;
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
import org.apache.kafka.common.utils.Utils;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Reads and writes Layouts: in each input partition, then in the control topic. */
public final class ControlTopic implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ControlTopic.class);
  private static final Duration READ_TIMEOUT = Duration.ofSeconds(30);

  /** Behind the name of an input topic: the epoch that is being started. */
  private static final String NEXT = "/next";

  private final LockstepConfig config;
  private final String control;
  private final RecordCodec codec = new SingleObjectCodec(KernelSchemas.CATALOG);
  private final KafkaProducer<byte[], byte[]> producer;

  public ControlTopic(LockstepConfig config) {
    this.config = config;
    this.control = TopicPlan.controlTopic(config);
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Returns the Layouts in force by input topic. */
  public Map<String, Layout> read() {
    Map<String, Layout> layouts = new HashMap<>();
    values()
        .forEach(
            (key, value) -> {
              if (value instanceof Layout layout) {
                layouts.put(key, layout);
              }
            });
    return layouts;
  }

  private Map<String, Object> values() {
    Map<String, Object> values = new HashMap<>();
    for (ConsumerRecord<byte[], byte[]> record : readAll(new TopicPartition(control, 0))) {
      String key = new String(record.key(), StandardCharsets.UTF_8);
      if (record.value() == null) {
        values.remove(key);
      } else {
        values.put(key, codec.decode(record.value()));
      }
    }
    return values;
  }

  /** Notes an epoch that is about to be started, and what its log begins with. */
  void note(NextEpoch next, List<CarriedRecord> carried) {
    String topic = next.getLayout().getTopic();
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (int i = 0; i < carried.size(); i++) {
      sent.add(put(topic + NEXT + "/" + i, codec.encode(carried.get(i))));
    }
    await(sent, control);
    // last: whoever finds it finds all of them
    await(List.of(put(topic + NEXT, codec.encode(next))), control);
  }

  /** Returns the epoch that is being started; null: none is. */
  @Nullable NextEpoch noted(String topic) {
    return (NextEpoch) values().get(topic + NEXT);
  }

  /** Returns what the log of an epoch that is being started begins with. */
  List<CarriedRecord> carried(NextEpoch next) {
    Map<String, Object> values = values();
    List<CarriedRecord> carried = new ArrayList<>();
    for (int i = 0; i < next.getRecords(); i++) {
      carried.add(
          (CarriedRecord) requireNonNull(values.get(next.getLayout().getTopic() + NEXT + "/" + i)));
    }
    return carried;
  }

  /**
   * Writes a first Layout and what follows it into a new topic.
   *
   * @return false when somebody else wrote before or in between, or it could not be written
   */
  boolean begin(Layout layout, List<CarriedRecord> carried) {
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    settings.put("delivery.timeout.ms", "15000");
    settings.put("request.timeout.ms", "5000");
    settings.put("linger.ms", "0");
    // of its own: one that has seen the old topic was seen to send nothing to the new one
    try (KafkaProducer<byte[], byte[]> fresh =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      return begin(fresh, layout, carried);
    } catch (KernelException e) {
      LOG.warn("{}", e.getMessage());
      return false;
    }
  }

  private boolean begin(
      KafkaProducer<byte[], byte[]> fresh, Layout layout, List<CarriedRecord> carried) {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    List<Long> expected = new ArrayList<>();
    long[] next = new long[layout.getPartitions()];
    byte[] key = layout.getTopic().getBytes(StandardCharsets.UTF_8);
    for (int i = 0; i < next.length; i++) {
      expected.add(next[i]++);
      sent.add(fresh.send(new ProducerRecord<>(layout.getTopic(), i, key, codec.encode(layout))));
    }
    for (CarriedRecord record : carried) {
      expected.add(next[record.getPartition()]++);
      sent.add(
          fresh.send(
              new ProducerRecord<>(
                  layout.getTopic(),
                  record.getPartition(),
                  record.getKey().getBytes(StandardCharsets.UTF_8),
                  Utils.toArray(record.getValue()))));
    }
    return offsets(sent, layout.getTopic()).equals(expected);
  }

  /** Puts a Layout in force, which every partition has. */
  void putInForce(Layout layout) {
    byte[] key = layout.getTopic().getBytes(StandardCharsets.UTF_8);
    await(
        List.of(producer.send(new ProducerRecord<>(control, 0, key, codec.encode(layout)))),
        control);
  }

  /** Forgets what was noted of an epoch. */
  void forget(String topic, int records) {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    // first: without it the others mean nothing
    sent.add(put(topic + NEXT, null));
    for (int i = 0; i < records; i++) {
      sent.add(put(topic + NEXT + "/" + i, null));
    }
    await(sent, control);
  }

  /**
   * Refuses what must not happen while an epoch of a topic is being started.
   *
   * @throws KernelException when one is
   */
  public void requireNoneBegun(String topic) {
    String begun = begun(topic);
    if (begun != null) {
      throw new KernelException(begun);
    }
  }

  /** Tells that an epoch is being started, and what to do; null: none is. */
  @Nullable String begun(String topic) {
    NextEpoch next = noted(topic);
    return next == null
        ? null
        : "epoch %d of '%s' was begun and not completed: complete it by the command that began it"
            .formatted(next.getLayout().getTopicEpoch(), topic);
  }

  private Future<RecordMetadata> put(String key, byte @Nullable [] value) {
    return producer.send(
        new ProducerRecord<>(control, 0, key.getBytes(StandardCharsets.UTF_8), value));
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
    var unused = offsets(sent, topic);
  }

  private static List<Long> offsets(List<Future<RecordMetadata>> sent, String topic) {
    List<Long> offsets = new ArrayList<>();
    for (Future<RecordMetadata> future : sent) {
      try {
        offsets.add(future.get().offset());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new KernelException("Interrupted while writing a Layout to '" + topic + "'", e);
      } catch (ExecutionException e) {
        throw new KernelException(
            "Layout could not be written to '%s': %s; do it again".formatted(topic, e.getCause()),
            e);
      }
    }
    return offsets;
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
    return new KafkaConsumer<>(
        config.shortRead(), new ByteArrayDeserializer(), new ByteArrayDeserializer());
  }
}
