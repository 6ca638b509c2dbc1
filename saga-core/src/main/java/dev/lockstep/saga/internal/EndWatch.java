package dev.lockstep.saga.internal;

import dev.lockstep.saga.SagaException;
import dev.lockstep.saga.SagaResult;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.saga.SagaEnded;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Follows the saga events from now on and completes who waits. Thread-safe. */
public final class EndWatch implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(EndWatch.class);
  private static final int REMEMBERED = 10_000;

  private final SingleObjectCodec codec = new SingleObjectCodec(SagaSchemas.CATALOG);
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private final Map<String, CompletableFuture<SagaResult>> waiting = new HashMap<>();
  private final Map<String, SagaResult> ended =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1L;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, SagaResult> eldest) {
          return size() > REMEMBERED;
        }
      };
  private volatile boolean stopping;
  private volatile @Nullable String fault;

  public EndWatch(LockstepConfig config) {
    Map<String, Object> settings = new HashMap<>(config.client());
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "latest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    String topic = config.named(SagaSchemas.EVENTS);
    List<TopicPartition> partitions =
        consumer.partitionsFor(topic).stream()
            .map(info -> new TopicPartition(topic, info.partition()))
            .toList();
    consumer.assign(partitions);
    consumer.seekToEnd(partitions);
    // lazy otherwise: an end between here and the first poll would be missed
    partitions.forEach(consumer::position);
    this.thread = new Thread(this::run, "saga-ends");
    thread.setDaemon(true);
    thread.start();
  }

  /** Returns what is being waited out. */
  public @Nullable String fault() {
    return fault;
  }

  public CompletableFuture<SagaResult> await(String id) {
    synchronized (waiting) {
      SagaResult result = ended.get(id);
      return result != null
          ? CompletableFuture.completedFuture(result)
          : waiting.computeIfAbsent(id, key -> new CompletableFuture<>());
    }
  }

  @Override
  public void close() {
    stopping = true;
    consumer.wakeup();
    try {
      thread.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    synchronized (waiting) {
      waiting
          .values()
          .forEach(f -> f.completeExceptionally(new SagaException("The client was closed")));
    }
  }

  private void run() {
    try (consumer) {
      while (!stopping) {
        try {
          consumer.poll(Duration.ofMillis(500)).forEach(this::take);
          fault = null;
        } catch (WakeupException e) {
          return;
        } catch (KafkaException e) {
          fault = "Saga events could not be read: " + e;
          LOG.warn("{}", fault);
        }
      }
    }
  }

  private void take(ConsumerRecord<byte[], byte[]> record) {
    try {
      if (codec.decode(record.value()) instanceof SagaEnded end) {
        SagaResult result =
            new SagaResult(
                end.getSagaId(),
                SagaResult.Status.valueOf(end.getStatus().name()),
                end.getStep(),
                end.getReason());
        CompletableFuture<SagaResult> waiter;
        synchronized (waiting) {
          ended.put(end.getSagaId(), result);
          waiter = waiting.remove(end.getSagaId());
        }
        if (waiter != null) {
          waiter.complete(result);
        }
      }
    } catch (SchemaException e) {
      LOG.warn("Saga event at {} is skipped: {}", record.offset(), e.getMessage());
    }
  }
}
