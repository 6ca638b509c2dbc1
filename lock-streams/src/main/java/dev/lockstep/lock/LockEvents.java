package dev.lockstep.lock;

import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.UnknownSchemaException;
import dev.lockstep.schema.lock.Downgraded;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.RevokeAsked;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands lock events to a handler, on a thread of its own.
 *
 * <p>Guarantee: in order per key, at least once, repeats of a fail-over dropped. After a crash what
 * was handled since the last commit, which follows each poll, comes again with the same {@link
 * LockEvent#id}. Several consumers of one group share the partitions.
 *
 * <p>Where a consumer stands is kept in the group's offsets, and in their metadata the position of
 * the last event, so that a repeat right behind a restart is known as one.
 */
public final class LockEvents implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(LockEvents.class);
  private static final Duration POLL = Duration.ofMillis(500);

  private final String topic;
  private final Pattern keys;
  private final Set<LockEvent.Type> types;
  private final Consumer<LockEvent> handler;
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Map<TopicPartition, PositionMark> marks = new HashMap<>();

  /** Offset behind the last event that was handled; the consumer's own position runs ahead. */
  private final Map<TopicPartition, Long> next = new HashMap<>();

  private final Thread thread;
  private volatile boolean stopping;
  private volatile @Nullable String fault;

  private LockEvents(
      LockstepConfig config,
      String group,
      Pattern keys,
      Set<LockEvent.Type> types,
      Consumer<LockEvent> handler) {
    this.topic = config.named(LockSchemas.EVENTS);
    this.keys = keys;
    this.types = Set.copyOf(types);
    this.handler = handler;
    Map<String, Object> settings = new HashMap<>(config.client());
    settings.put("group.id", config.named(group));
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.thread = new Thread(this::run, "lock-events-" + group);
    thread.setDaemon(true);
  }

  /**
   * Starts a consumer; a new group begins with the oldest event that is kept.
   *
   * @param config how to reach Kafka
   * @param group name of the consumer group, without prefix
   * @param keys lock keys that are wanted; the whole key must match
   * @param types events that are wanted
   * @param handler called for each; what it throws stops the consumer before that event, which
   *     comes first when the consumer is started again
   * @return the running consumer
   */
  public static LockEvents subscribe(
      LockstepConfig config,
      String group,
      Pattern keys,
      Set<LockEvent.Type> types,
      Consumer<LockEvent> handler) {
    LockEvents events = new LockEvents(config, group, keys, types, handler);
    events.thread.start();
    return events;
  }

  /**
   * Tells what is wrong. A broker that cannot be reached is waited out; a handler that throws, an
   * event of a newer release and a lock log that was rewritten stop the consumer.
   *
   * @return the fault that is being waited out, or that stopped it; empty when all is well
   */
  public Optional<String> fault() {
    return Optional.ofNullable(fault);
  }

  /** Commits where it stands and leaves. */
  @Override
  public void close() {
    stopping = true;
    consumer.wakeup();
    try {
      thread.join(10_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (consumer) {
      consumer.subscribe(List.of(topic), new Positions());
      while (!stopping) {
        try {
          for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
            take(record);
            next.put(new TopicPartition(record.topic(), record.partition()), record.offset() + 1);
          }
          commit();
          fault = null;
        } catch (WakeupException e) {
          break;
        } catch (KafkaException e) {
          fault = e.toString();
          LOG.warn("Lock events of '{}': {}", topic, fault);
        }
      }
      commit();
    } catch (Throwable e) {
      fault = e instanceof Stop ? String.valueOf(e.getMessage()) : e.toString();
      LOG.error("{}; mend it and start the consumer again", fault, e);
    }
  }

  /** Why this consumer cannot go on; never taken for a fault of the broker, which is waited out. */
  private static final class Stop extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Stop(String message, @Nullable Throwable cause) {
      super(message, cause);
    }
  }

  private void take(ConsumerRecord<byte[], byte[]> record) {
    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
    EffectPosition position;
    Object value;
    try {
      position = EffectPosition.of(record.headers());
      if (position == null) {
        LOG.warn("{} offset {} is skipped: no lock service wrote it", partition, record.offset());
        return;
      }
      value = codec.decode(record.value());
    } catch (MalformedRecordException e) {
      LOG.warn("{} offset {} is skipped: {}", partition, record.offset(), e.getMessage());
      return;
    } catch (UnknownSchemaException e) {
      throw new Stop("%s offset %d: %s".formatted(partition, record.offset(), e.getMessage()), e);
    }
    switch (PositionMark.judge(marks.get(partition), position)) {
      case REPEAT -> {
        return;
      }
      case REWRITTEN ->
          throw new Stop(
              "%s: the lock log was rewritten below %s, so events that were handled are void; set the group to an offset of your choice"
                  .formatted(partition, position),
              null);
      case TAKE_AFTER_HOLE -> LOG.error("{}: a hole before {}", partition, position);
      case TAKE -> {}
    }
    LockEvent event = event(position, value);
    if (event != null && types.contains(event.type()) && keys.matcher(event.key()).matches()) {
      try {
        handler.accept(event);
      } catch (Throwable e) {
        throw new Stop("Handler failed at lock event " + event.id() + ": " + e, e);
      }
    }
    marks.put(partition, PositionMark.at(position));
  }

  private static @Nullable LockEvent event(EffectPosition position, Object value) {
    String id =
        position.topic()
            + "/"
            + position.partition()
            + "/"
            + position.epoch()
            + "."
            + position.point();
    Instant at = Instant.ofEpochMilli(position.logTime());
    if (value instanceof Granted g) {
      LockEvent.Grant grant =
          new LockEvent.Grant(
              LockEvent.Mode.valueOf(g.getMode().name()),
              g.getPermits(),
              g.getCapacity(),
              g.getOnBehalfOf());
      return new LockEvent(
          id, LockEvent.Type.GRANTED, g.getKey(), g.getOwner(), g.getToken(), grant, "", at);
    }
    if (value instanceof Released r) {
      return new LockEvent(
          id,
          LockEvent.Type.RELEASED,
          r.getKey(),
          r.getOwner(),
          r.getToken(),
          null,
          r.getCause().name(),
          at);
    }
    if (value instanceof Downgraded d) {
      return new LockEvent(
          id, LockEvent.Type.DOWNGRADED, d.getKey(), d.getOwner(), d.getToken(), null, "", at);
    }
    if (value instanceof RevokeAsked r) {
      return new LockEvent(
          id,
          LockEvent.Type.REVOKE_ASKED,
          r.getKey(),
          r.getOwner(),
          r.getToken(),
          null,
          r.getBy(),
          at);
    }
    return null;
  }

  private void commit() {
    Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
    for (TopicPartition partition : consumer.assignment()) {
      PositionMark mark = marks.get(partition);
      Long behind = next.get(partition);
      if (behind != null) {
        offsets.put(partition, new OffsetAndMetadata(behind, mark == null ? "" : mark.format()));
      }
    }
    if (!offsets.isEmpty()) {
      consumer.commitSync(offsets);
    }
  }

  /** Takes up the mark that was committed with the offset. */
  private final class Positions implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(Set.copyOf(partitions));
      for (TopicPartition partition : partitions) {
        OffsetAndMetadata at = committed.get(partition);
        marks.remove(partition);
        next.remove(partition);
        if (at != null && !at.metadata().isEmpty()) {
          marks.put(partition, PositionMark.parse(at.metadata()));
        }
      }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      commit();
    }
  }
}
