package dev.lockstep.example.pipeline.run;

import dev.lockstep.example.pipeline.service.OrderSagas;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.Step;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.PositionReceiver;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.saga.StepEnded;
import dev.lockstep.schema.saga.StepReply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Measures, per killed process, the seconds from the kill to the first thing that only this process
 * can do and that was never seen before: a service's own reply, a grant of the lock service, a step
 * that the orchestrator ended. For the broker: the first step at all.
 *
 * <p>Repeats, which a successor sends again, do not count; nor does what arrives in the first half
 * second, which may have been on its way.
 */
final class RecoveryWatch implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(RecoveryWatch.class);
  private static final long ON_ITS_WAY_NANOS = Duration.ofMillis(500).toNanos();

  private final SingleObjectCodec codec =
      new SingleObjectCodec(LockSchemas.CATALOG.and(SagaSchemas.CATALOG));
  private final PositionReceiver receiver = new PositionReceiver();
  private final Set<String> replies = new HashSet<>();
  private final Map<String, Set<String>> workers = workersByStep();
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private final Map<String, Long> killedAt = new HashMap<>(); // guarded by this
  private final Map<String, Double> seconds = new TreeMap<>(); // guarded by this

  RecoveryWatch(LockstepConfig config) {
    Map<String, Object> settings = config.client();
    settings.put("enable.auto.commit", "false");
    settings.put("fetch.max.wait.ms", "50");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    List<TopicPartition> partitions = new ArrayList<>();
    for (String topic : List.of(LockSchemas.EVENTS, SagaSchemas.EVENTS, SagaSchemas.LOG)) {
      consumer
          .partitionsFor(config.named(topic))
          .forEach(info -> partitions.add(new TopicPartition(info.topic(), info.partition())));
    }
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
    this.thread = new Thread(this::run, "recovery-watch");
    thread.setDaemon(true);
    thread.start();
  }

  /** Told right after a kill. */
  synchronized void killed(String what) {
    killedAt.put(what, System.nanoTime());
  }

  /**
   * Returns the seconds, by process; the longest when one was killed several times, null when it
   * did nothing any more.
   */
  synchronized Map<String, @Nullable Double> seconds() {
    Map<String, @Nullable Double> copy = new TreeMap<>(seconds);
    killedAt.keySet().forEach(what -> copy.put(what, null));
    return copy;
  }

  @Override
  public void close() {
    consumer.wakeup();
    try {
      thread.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (consumer) {
      while (true) {
        for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
          did(workers(record));
        }
      }
    } catch (WakeupException e) {
      LOG.debug("Recovery watch is closed");
    }
  }

  /** Returns who must have been alive for a record. */
  private Collection<String> workers(ConsumerRecord<byte[], byte[]> record) {
    Object value;
    try {
      value = codec.decode(record.value());
    } catch (SchemaException e) {
      return Set.of(); // ticks and layouts in the saga log
    }
    if (value instanceof StepReply reply) {
      boolean isNew =
          replies.add(
              "%s %s %s %d %s"
                  .formatted(
                      reply.getSagaId(),
                      reply.getStep(),
                      reply.getDirection(),
                      reply.getAttempt(),
                      reply.getOutcome()));
      return isNew ? workers.getOrDefault(reply.getStep(), Set.of()) : Set.of();
    }
    if (record.topic().endsWith(SagaSchemas.LOG)
        || receiver.receive(record) != PositionMark.Verdict.TAKE) {
      return Set.of();
    }
    if (value instanceof StepEnded) {
      return Set.of("broker", Role.ORCHESTRATOR.label());
    }
    return value instanceof Granted ? Set.of(Role.LOCKS.label()) : Set.of();
  }

  private synchronized void did(Collection<String> who) {
    long now = System.nanoTime();
    for (String what : who) {
      Long since = killedAt.get(what);
      if (since != null && now - since > ON_ITS_WAY_NANOS) {
        killedAt.remove(what);
        seconds.merge(what, Math.round((now - since) / 1e6) / 1e3, Math::max);
        LOG.info("{} is at work again {} ms after its kill", what, (now - since) / 1_000_000);
      }
    }
  }

  private static Map<String, Set<String>> workersByStep() {
    Map<String, Set<String>> byStep = new HashMap<>();
    for (Saga<?> saga : OrderSagas.ALL) {
      for (Step<?> step : saga.steps()) {
        byStep.computeIfAbsent(step.name(), name -> new HashSet<>()).add(step.participant().name());
      }
    }
    return byStep;
  }
}
