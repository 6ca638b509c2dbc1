package dev.lockstep.lock;

import static java.util.Objects.requireNonNull;

import dev.lockstep.lock.internal.events.GroupProgress;
import dev.lockstep.lock.internal.events.JdbcProgress;
import dev.lockstep.lock.internal.events.Progress;
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
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.regex.Pattern;
import javax.sql.DataSource;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
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
 * <p>Exactly once by {@link #subscribeInTransactions}, which keeps the place in the handler's own
 * database transaction.
 */
public final class LockEvents implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(LockEvents.class);
  private static final Duration POLL = Duration.ofMillis(500);

  private final String topic;
  private final Pattern keys;
  private final Set<LockEvent.Type> types;
  private final From from;
  private final Progress progress;
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Map<TopicPartition, PositionMark> marks = new HashMap<>();

  private final Thread thread;
  private boolean placed;
  private volatile boolean stopping;
  private volatile @Nullable String fault;

  private LockEvents(
      LockstepConfig config,
      String group,
      Pattern keys,
      Set<LockEvent.Type> types,
      From from,
      Function<KafkaConsumer<byte[], byte[]>, Progress> progress) {
    this.topic = config.named(LockSchemas.EVENTS);
    this.keys = keys;
    this.types = Set.copyOf(types);
    this.from = from;
    Map<String, Object> settings = new HashMap<>(config.client());
    settings.put("group.id", config.named(group));
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.progress = progress.apply(consumer);
    this.thread = new Thread(this::run, "lock-events-" + group);
    thread.setDaemon(true);
  }

  /**
   * Where a group begins that has no position yet.
   *
   * @param time log time of the first event; null: now
   */
  public record From(@Nullable Instant time) {

    /**
     * Begins with the oldest event that is kept.
     *
     * @return the beginning
     */
    public static From beginning() {
      return new From(Instant.EPOCH);
    }

    /**
     * Begins with what happens from now on.
     *
     * @return now
     */
    public static From now() {
      return new From(null);
    }

    /**
     * Begins with the first event at or after a time.
     *
     * @param time log time
     * @return that time
     */
    public static From at(Instant time) {
      return new From(time);
    }
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
    return subscribe(config, group, keys, types, From.beginning(), handler);
  }

  /**
   * Starts a consumer.
   *
   * @param config how to reach Kafka
   * @param group name of the consumer group, without prefix
   * @param keys lock keys that are wanted; the whole key must match
   * @param types events that are wanted
   * @param from where to begin when the group has no position yet
   * @param handler called for each; what it throws stops the consumer before that event, which
   *     comes first when the consumer is started again
   * @return the running consumer
   */
  public static LockEvents subscribe(
      LockstepConfig config,
      String group,
      Pattern keys,
      Set<LockEvent.Type> types,
      From from,
      Consumer<LockEvent> handler) {
    LockEvents events =
        new LockEvents(
            config, group, keys, types, from, consumer -> new GroupProgress(consumer, handler));
    events.thread.start();
    return events;
  }

  /** Handles an event in a database transaction. */
  @FunctionalInterface
  public interface TransactionalHandler {

    /**
     * Handles an event.
     *
     * @param connection open transaction; it is committed behind this, together with the place
     * @param event the event
     * @throws Exception stops the consumer; the transaction is rolled back
     */
    void handle(Connection connection, LockEvent event) throws Exception;
  }

  /**
   * Creates the table of {@link #subscribeInTransactions} if it is missing: {@code
   * lockstep_lock_position} (consumer, part, next_offset, mark).
   *
   * @param dataSource any supported database
   * @throws LockException when the database refuses
   */
  public static void migrate(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(JdbcProgress.TABLE);
    } catch (SQLException e) {
      throw new LockException("Table lockstep_lock_position could not be created", e);
    }
  }

  /**
   * Starts a consumer that handles each event exactly once: what the handler does in its
   * transaction and the place behind the event are committed together, or neither is.
   *
   * @param config how to reach Kafka
   * @param group name of the consumer group, without prefix; also names the rows of its places
   * @param keys lock keys that are wanted; the whole key must match
   * @param types events that are wanted
   * @param from where to begin when there is no place yet
   * @param dataSource database with the table of {@link #migrate}; one connection at a time
   * @param handler called for each; what it throws stops the consumer before that event, which
   *     comes first when the consumer is started again
   * @return the running consumer
   */
  public static LockEvents subscribeInTransactions(
      LockstepConfig config,
      String group,
      Pattern keys,
      Set<LockEvent.Type> types,
      From from,
      DataSource dataSource,
      TransactionalHandler handler) {
    LockEvents events =
        new LockEvents(
            config,
            group,
            keys,
            types,
            from,
            consumer -> new JdbcProgress(dataSource, config.named(group), handler));
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
      while (!stopping) {
        try {
          if (!placed) {
            // nothing may be read from a partition whose place is not known
            consumer.unsubscribe();
            consumer.subscribe(List.of(topic), new Positions());
            placed = true;
          }
          for (ConsumerRecord<byte[], byte[]> record : consumer.poll(POLL)) {
            take(record);
          }
          progress.flush(consumer.assignment());
          fault = null;
        } catch (WakeupException e) {
          break;
        } catch (KafkaException e) {
          if (e.getCause() instanceof Stop stop) {
            throw stop;
          }
          fault = e.toString();
          LOG.warn("Lock events of '{}': {}", topic, fault);
        }
      }
      progress.flush(consumer.assignment());
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
    PositionMark mark = marks.get(partition);
    EffectPosition position = position(partition, record);
    // first, so that what somebody else wrote there moves no mark
    Object value = position == null ? null : decoded(partition, record);
    if (position != null && value != null && isNew(partition, mark, position)) {
      PositionMark moved = PositionMark.at(position);
      marks.put(partition, moved);
      LockEvent event = event(position, value);
      if (event != null && types.contains(event.type()) && keys.matcher(event.key()).matches()) {
        handle(partition, event, new Progress.Place(record.offset() + 1, moved));
        return;
      }
      mark = moved;
    }
    progress.pass(partition, new Progress.Place(record.offset() + 1, mark));
  }

  private void handle(TopicPartition partition, LockEvent event, Progress.Place behind) {
    try {
      progress.handle(partition, event, behind);
    } catch (Throwable e) {
      throw new Stop("Handler failed at lock event " + event.id() + ": " + e, e);
    }
  }

  private static @Nullable EffectPosition position(
      TopicPartition partition, ConsumerRecord<byte[], byte[]> record) {
    try {
      EffectPosition position = EffectPosition.of(record.headers());
      if (position == null) {
        LOG.warn("{} offset {} is skipped: no lock service wrote it", partition, record.offset());
      }
      return position;
    } catch (MalformedRecordException e) {
      LOG.warn("{} offset {} is skipped: {}", partition, record.offset(), e.getMessage());
      return null;
    }
  }

  private static boolean isNew(
      TopicPartition partition, @Nullable PositionMark mark, EffectPosition position) {
    return switch (PositionMark.judge(mark, position)) {
      case TAKE -> true;
      case REPEAT -> false;
      case TAKE_AFTER_HOLE -> {
        LOG.error("{}: a hole before {}", partition, position);
        yield true;
      }
      case REWRITTEN ->
          throw new Stop(
              "%s: the lock log was rewritten below %s, so events that were handled are void; set the group to an offset of your choice"
                  .formatted(partition, position),
              null);
    };
  }

  /** Null for what does not decode: it is skipped. An event of a newer release stops it. */
  private @Nullable Object decoded(
      TopicPartition partition, ConsumerRecord<byte[], byte[]> record) {
    try {
      return codec.decode(record.value());
    } catch (MalformedRecordException e) {
      LOG.warn("{} offset {} is skipped: {}", partition, record.offset(), e.getMessage());
      return null;
    } catch (UnknownSchemaException e) {
      throw new Stop("%s offset %d: %s".formatted(partition, record.offset(), e.getMessage()), e);
    }
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

  /** Takes up where each partition stands. */
  private final class Positions implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      placed = false;
      Map<TopicPartition, Progress.Place> places = new HashMap<>();
      partitions.forEach(partition -> places.put(partition, load(partition)));
      // behind the places: one that begins now may stand behind an end that was asked before it
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      for (TopicPartition partition : partitions) {
        marks.remove(partition);
        Progress.Place place = requireNonNull(places.get(partition));
        if (place.next() > ends.getOrDefault(partition, 0L)) {
          throw new Stop(
              "%s ends at %d, before the place %d of this consumer: the topic was made anew; remove the place, and the consumer begins again"
                  .formatted(partition, ends.get(partition), place.next()),
              null);
        }
        consumer.seek(partition, place.next());
        if (place.mark() != null) {
          marks.put(partition, place.mark());
        }
      }
      placed = true;
    }

    private Progress.Place load(TopicPartition partition) {
      try {
        Progress.Place place = progress.load(partition);
        if (place == null) {
          place = new Progress.Place(first(partition), null);
          progress.begin(partition, place);
        }
        return place;
      } catch (KafkaException e) {
        throw e;
      } catch (Exception e) {
        throw new Stop(partition + ": the place of this consumer cannot be read: " + e, e);
      }
    }

    private long first(TopicPartition partition) {
      // asked first: what comes between the two questions is not to be missed
      long end = consumer.endOffsets(Set.of(partition)).getOrDefault(partition, 0L);
      Instant time = from.time();
      OffsetAndTimestamp found =
          time == null
              ? null
              : consumer.offsetsForTimes(Map.of(partition, time.toEpochMilli())).get(partition);
      return found == null ? end : found.offset();
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      progress.flush(partitions);
    }
  }
}
