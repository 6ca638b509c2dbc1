package dev.lockstep.benchmark.outbox;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToIntFunction;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A read_committed consumer that notes when it first saw each row. */
final class Deliveries implements AutoCloseable {

  private static final long PATIENCE_NANOS = TimeUnit.MINUTES.toNanos(10);

  private final KafkaConsumer<byte[], byte[]> consumer;
  private final ToIntFunction<ConsumerRecord<byte[], byte[]>> rowOf;
  private final long[] seenAt;
  private final Thread thread = new Thread(this::run, "deliveries");
  private final AtomicInteger rows = new AtomicInteger();
  private final AtomicLong repeats = new AtomicLong();
  private volatile long lastNanos;
  private volatile boolean running = true;

  /**
   * Begins to read.
   *
   * @param rows how many are going to come
   * @param rowOf tells which of them a record is, from 0
   */
  Deliveries(
      Place place, int partitions, long rows, ToIntFunction<ConsumerRecord<byte[], byte[]>> rowOf) {
    Map<String, Object> settings = place.config().client();
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", "5000");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.rowOf = rowOf;
    this.seenAt = new long[Math.toIntExact(rows)];
    consumer.assign(
        IntStream.range(0, partitions)
            .mapToObj(p -> new TopicPartition(place.topic(), p))
            .toList());
    thread.start();
  }

  /** Waits until every row has come. */
  void await() {
    long giveUp = System.nanoTime() + PATIENCE_NANOS;
    while (rows.get() < seenAt.length) {
      if (System.nanoTime() > giveUp) {
        throw new IllegalStateException(
            "%d of %d rows came within ten minutes".formatted(rows.get(), seenAt.length));
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
    }
  }

  /** When a row was first seen, {@code System.nanoTime()}; after {@link #await}. */
  long seenAt(int row) {
    return seenAt[row];
  }

  /** When the last row was seen, {@code System.nanoTime()}; after {@link #await}. */
  long lastNanos() {
    return lastNanos;
  }

  /** How many records were further ones of a row that had come before. */
  long repeats() {
    return repeats.get();
  }

  private void run() {
    while (running) {
      int fresh = 0;
      for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(50))) {
        int row = rowOf.applyAsInt(record);
        if (seenAt[row] == 0) {
          lastNanos = System.nanoTime();
          seenAt[row] = lastNanos;
          fresh++;
        } else {
          repeats.incrementAndGet();
        }
      }
      rows.addAndGet(fresh);
    }
    consumer.close();
  }

  @Override
  public void close() throws InterruptedException {
    running = false;
    thread.join();
  }
}
