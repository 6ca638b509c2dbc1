package dev.lockstep.benchmark.outbox;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A read_committed consumer that counts. */
final class Deliveries implements AutoCloseable {

  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Consumer<ConsumerRecord<byte[], byte[]>> seen;
  private final AtomicLong count = new AtomicLong();
  private final Thread thread = new Thread(this::run, "deliveries");
  private volatile long lastNanos;
  private volatile boolean running = true;

  Deliveries(Place place, int partitions, Consumer<ConsumerRecord<byte[], byte[]>> seen) {
    Map<String, Object> settings = place.config().client();
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", "5000");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.seen = seen;
    consumer.assign(
        IntStream.range(0, partitions)
            .mapToObj(p -> new TopicPartition(place.topic(), p))
            .toList());
    thread.start();
  }

  long count() {
    return count.get();
  }

  /** When the last record was seen, {@code System.nanoTime()}. */
  long lastNanos() {
    return lastNanos;
  }

  private void run() {
    while (running) {
      var records = consumer.poll(Duration.ofMillis(50));
      if (!records.isEmpty()) {
        records.forEach(seen);
        lastNanos = System.nanoTime();
        count.addAndGet(records.count());
      }
    }
    consumer.close();
  }

  @Override
  public void close() throws InterruptedException {
    running = false;
    thread.join();
  }
}
