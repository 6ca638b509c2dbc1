package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.LogTime;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends ticks to partitions on which a deadline is pending, from a thread of its own.
 *
 * <p>The local clock chooses when a tick is sent and nothing else; what a tick means is decided in
 * the log. A failed tick is tried again at the next round and never touches a commit.
 */
public final class Ticker implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Ticker.class);

  /** What a fold waits for, and when it said so on the local clock. */
  private record Pending(LogTime now, Deadlines deadlines, long saidAt) {}

  private final KafkaProducer<byte[], byte[]> producer;
  private final byte[] tick;
  private final Duration period;
  private final Map<TopicPartition, Pending> pending = new ConcurrentHashMap<>();
  private final ScheduledExecutorService timer;

  public Ticker(String name, Map<String, Object> client, byte[] tick, Duration period) {
    Map<String, Object> config = new HashMap<>(client);
    config.put("client.id", name + "-ticker");
    config.put("acks", "all");
    config.put("linger.ms", "0");
    config.put("delivery.timeout.ms", "3000");
    config.put("request.timeout.ms", "2000");
    config.put("max.block.ms", "1000");
    this.producer =
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    this.tick = tick;
    this.period = period;
    this.timer =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, name + "-ticker");
              thread.setDaemon(true);
              return thread;
            });
  }

  public void start() {
    var unused =
        timer.scheduleAtFixedRate(
            this::round, period.toMillis(), period.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** Told by a fold after a record. */
  public void publish(TopicPartition partition, LogTime now, Deadlines deadlines) {
    pending.put(partition, new Pending(now, deadlines, System.nanoTime()));
  }

  public void remove(TopicPartition partition) {
    pending.remove(partition);
  }

  private void round() {
    try {
      pending.forEach(
          (partition, waiting) -> {
            if (isDue(waiting)) {
              send(partition);
            }
          });
    } catch (Throwable e) {
      // the timer would drop the rounds, and time would stand still
      LOG.error("A round of ticks failed; the next one follows", e);
    }
  }

  private boolean isDue(Pending waiting) {
    if (waiting.deadlines().elapsed() != Long.MAX_VALUE) {
      return true;
    }
    if (waiting.deadlines().wall() == Long.MAX_VALUE) {
      return false;
    }
    long since = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - waiting.saidAt());
    return waiting.now().wall() + since >= waiting.deadlines().wall();
  }

  private void send(TopicPartition partition) {
    try {
      var unused =
          producer.send(
              new ProducerRecord<>(partition.topic(), partition.partition(), null, tick),
              (metadata, error) -> {
                if (error != null) {
                  LOG.warn("Tick for {} was not appended: {}", partition, error.toString());
                }
              });
    } catch (RuntimeException e) {
      LOG.warn("Tick for {} was not sent: {}", partition, e.toString());
    }
  }

  @Override
  public void close() {
    timer.shutdownNow();
    producer.close(Duration.ZERO);
  }
}
