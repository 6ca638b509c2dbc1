package dev.lockstep.lock.internal.client;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.ReplyTo;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads a client's partition of the reply topic from now on, on a thread of its own. Nothing that
 * stands there stops it: others write to that partition as well.
 */
final class ReplyReader implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ReplyReader.class);
  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

  /** What a reply may be late by when the client's own follower is behind and does not say so. */
  private static final long RELAXED_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final ReplyTo own;
  private final Consumer<Object> heard;
  private final BooleanSupplier relaxed;
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final TopicPartition partition;
  private final Thread thread;
  private volatile boolean closing;
  private volatile @Nullable String fault;

  /**
   * @param heard told of each answer
   * @param relaxed tells whether answers are heard elsewhere before: then few full reads are enough
   */
  ReplyReader(
      LockClientOptions options, ReplyTo own, Consumer<Object> heard, BooleanSupplier relaxed) {
    this.own = own;
    this.heard = heard;
    this.relaxed = relaxed;
    Map<String, Object> settings = options.config().client();
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "latest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.partition = new TopicPartition(own.getTopic(), own.getPartition());
    consumer.assign(List.of(partition));
    consumer.seekToEnd(List.of(partition));
    // lazy otherwise: a reply between here and the first poll would be missed
    consumer.position(partition);
    this.thread = new Thread(this::run, "lock-client-replies");
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  @Nullable String fault() {
    return fault;
  }

  @Override
  public void close() {
    closing = true;
    consumer.wakeup();
    try {
      thread.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (consumer) {
      while (!closing) {
        try {
          consumer
              .poll(Duration.ofMillis(500))
              .forEach(record -> take(record.key(), record.value()));
          fault = null;
          // a backlog is read first: who is behind here must not be when the follower is not there
          if (relaxed.getAsBoolean() && consumer.currentLag(partition).orElse(0) == 0) {
            LockSupport.parkNanos(RELAXED_NANOS);
          }
        } catch (WakeupException e) {
          return;
        } catch (Throwable e) {
          fault = "Replies cannot be read from '%s': %s".formatted(own.getTopic(), e);
          LOG.warn("{}", fault, e);
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
    }
  }

  /** Takes an answer that the client's own follower computed. */
  void take(Announcement effect) {
    if (effect.partition() == own.getPartition() && effect.topic().equals(own.getTopic())) {
      take(effect.key(), effect.value());
    }
  }

  private void take(byte @Nullable [] key, byte[] value) {
    if (key == null || !own.getKey().equals(new String(key, StandardCharsets.UTF_8))) {
      return;
    }
    try {
      heard.accept(codec.decode(value));
    } catch (Throwable e) {
      LOG.warn("A lock reply is skipped", e);
    }
  }
}
