package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayHealth;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.RelayStats;
import dev.lockstep.outbox.WalSource;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Shares the shards among relays through a consumer group on the position topic: owning a partition
 * is owning its shard. The group only keeps two relays from working in vain; fencing keeps them
 * from doing harm.
 */
public final class RelayGroup implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(RelayGroup.class);
  private static final Duration JOIN = Duration.ofSeconds(20);
  private static final Duration CREATED = Duration.ofSeconds(3);
  private static final long PAUSE_NANOS = Duration.ofMillis(200).toNanos();
  private static final long REJOIN_NANOS = Duration.ofSeconds(1).toNanos();

  /** A shard and its thread. */
  private record Running(ShardRelay relay, Thread thread) {}

  private final DataSource dataSource;
  private final Dialect dialect;
  private final TopicTable topics;
  private final RelayOptions options;
  private final Map<Integer, Running> running = new ConcurrentHashMap<>();
  private final RelayCounters counters = new RelayCounters();
  private final Map<Integer, Backlog> backlogs = new ConcurrentHashMap<>();
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private final Destinations destinations;
  private final Housekeeping housekeeping;
  private final @Nullable WalFeed wal;
  private final @Nullable CommitListener listener;
  private volatile boolean stopping;
  private volatile boolean fenced;
  private volatile @Nullable String fault;

  public RelayGroup(DataSource dataSource, TopicTable topics, RelayOptions options) {
    this.dataSource = dataSource;
    this.topics = topics;
    this.options = options;
    this.dialect = dialect(dataSource);
    this.wal = wal();
    this.destinations = new Destinations(options.config(), System::nanoTime);
    this.housekeeping =
        new Housekeeping(
            dataSource,
            dialect,
            topics,
            destinations,
            options,
            () -> running.containsKey(0),
            this::wake,
            this::measure);
    this.listener =
        options.listening() && dialect.hasSnapshots()
            ? new CommitListener(dataSource, options.name(), this::wake)
            : null;
    Map<String, Object> settings = options.config().client();
    // shards that stay with their relay go on while others move
    settings.put("partition.assignment.strategy", CooperativeStickyAssignor.class.getName());
    settings.put("group.id", options.config().named("lockstep-outbox-" + options.name()));
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "latest");
    settings.put("session.timeout.ms", "6000");
    settings.put("heartbeat.interval.ms", "1200");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.thread = new Thread(this::run, "outbox-" + options.name() + "-group");
    thread.setDaemon(true);
  }

  private @Nullable WalFeed wal() {
    WalSource source = options.wal().orElse(null);
    return source == null
        ? null
        : new WalFeed(source, dataSource, options.name(), options.shards());
  }

  private static Dialect dialect(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection()) {
      return Dialect.of(connection);
    } catch (SQLException e) {
      throw new OutboxException("The database of the outbox cannot be reached", e);
    }
  }

  /** Checks topics and the ledger, then joins. */
  public void start() {
    boolean startable = false;
    try (Connection connection = Connections.committing(dataSource)) {
      requireTopics(connection);
      requireWal(connection);
      LedgerIdentity.require(connection, options);
      // rows are numbered by partition from the first one on
      destinations.look(topics.registered());
      startable = true;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at topics", e);
    } catch (KafkaException e) {
      throw new OutboxException(
          "Outbox '%s' cannot be published: brokers at %s do not answer within %d s"
              .formatted(options.name(), options.config().bootstrapServers(), JOIN.toSeconds()),
          e);
    } catch (SQLException e) {
      throw new OutboxException("Outbox '" + options.name() + "' cannot be read", e);
    } finally {
      if (!startable) {
        consumer.close();
        housekeeping.close();
      }
    }
    housekeeping.start();
    if (wal != null) {
      wal.start();
    }
    if (listener != null) {
      listener.start();
    }
    thread.start();
  }

  private void requireWal(Connection ledger) {
    WalSource source = options.wal().orElse(null);
    if (source != null && !dialect.hasSnapshots()) {
      throw new OutboxException(
          "Outbox '%s' cannot follow the log of its database: it is no PostgreSQL"
              .formatted(options.name()));
    }
    if (source != null) {
      WalStream.require(source, options.name(), ledger);
    }
  }

  /** All that is wrong at once; a topic that was just created may not be known to all brokers. */
  private void requireTopics(Connection connection) throws SQLException {
    long giveUp = System.nanoTime() + CREATED.toNanos();
    List<String> faults = faults(consumer.listTopics(JOIN), connection);
    while (!faults.isEmpty() && System.nanoTime() < giveUp) {
      LockSupport.parkNanos(PAUSE_NANOS);
      faults = faults(consumer.listTopics(JOIN), connection);
    }
    if (!faults.isEmpty()) {
      throw new OutboxException(
          "Outbox '%s' cannot be published, create its topics: %s"
              .formatted(options.name(), String.join("; ", faults)));
    }
  }

  private List<String> faults(Map<String, List<PartitionInfo>> present, Connection connection)
      throws SQLException {
    List<String> faults = new ArrayList<>();
    String positions = options.positionsTopic();
    int partitions = present.getOrDefault(positions, List.of()).size();
    if (partitions != 2 * options.shards()) {
      faults.add(
          "position topic '%s' has %d partitions, needs %d (compacted; OutboxTopics.positions says how)"
              .formatted(positions, partitions, 2 * options.shards()));
    }
    // one that was there before and is gone now holds up its own rows, not the others
    for (String topic : topics.neverSeen(connection, present.keySet())) {
      faults.add("topic '%s' is registered with the outbox and does not exist".formatted(topic));
    }
    return faults;
  }

  public void wake() {
    running.values().forEach(shard -> shard.relay().wake());
  }

  public RelayHealth health() {
    Map<Integer, String> states = new TreeMap<>();
    Map<Integer, String> faults = new TreeMap<>();
    List<String> blocked = new ArrayList<>();
    running.forEach(
        (shard, run) -> {
          states.put(shard, run.relay().state());
          blocked.addAll(run.relay().blocked());
          String fault = run.relay().fault();
          if (fault != null) {
            faults.put(shard, fault);
          }
        });
    String group = fault;
    return new RelayHealth(
        states, faults, List.copyOf(blocked), notes(), Optional.ofNullable(group));
  }

  private List<String> notes() {
    List<String> notes = new ArrayList<>();
    String log = wal == null ? null : wal.fault();
    if (log != null) {
      notes.add(log);
    }
    String deaf = "this database sends no notifications";
    if (listener != null) {
      deaf = listener.fault();
    }
    if (deaf != null && options.listening()) {
      notes.add("commits in other processes are found by polling: " + deaf);
    }
    notes.addAll(housekeeping.notes());
    running.values().forEach(shard -> notes.addAll(shard.relay().notes()));
    return notes.stream().distinct().toList();
  }

  public RelayStats stats() {
    return new RelayStats(
        counters.rows.sum(),
        counters.commits.sum(),
        Duration.ofNanos(counters.commitNanos.sum()),
        Duration.ofMillis(counters.latencyMillis.sum()),
        backlogs.values().stream().mapToLong(Backlog::rows).sum(),
        Duration.ofMillis(
            backlogs.values().stream().mapToLong(Backlog::oldestMillis).max().orElse(0)));
  }

  /** A shard that waits for Kafka cannot say how much waits behind it: so it is looked at. */
  private void measure(Connection connection) throws SQLException {
    for (Map.Entry<Integer, Running> own : running.entrySet()) {
      RelayPosition position = own.getValue().relay().position();
      if (position != null) {
        backlogs.put(own.getKey(), Backlog.of(connection, own.getKey(), position));
      }
      own.getValue().relay().lookAgain();
    }
    backlogs.keySet().retainAll(running.keySet());
  }

  @Override
  public void close() {
    stopping = true;
    consumer.wakeup();
    try {
      thread.join(JOIN.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (consumer) {
      consumer.subscribe(List.of(options.positionsTopic()), new Ownership());
      while (!stopping) {
        try {
          consumer.poll(Duration.ofMillis(500));
          fault = null;
          if (fenced) {
            joinAgain();
          }
        } catch (WakeupException e) {
          break;
        } catch (Throwable e) {
          fault = "outbox '%s' cannot take part in its group: %s".formatted(options.name(), e);
          LOG.warn("{}", fault, e);
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
    } finally {
      housekeeping.close();
      if (listener != null) {
        listener.close();
      }
      stop(List.copyOf(running.keySet()));
      if (wal != null) {
        wal.close();
      }
    }
  }

  /**
   * Who was fenced may be no owner any more and not know it yet, or be the owner and forgotten by
   * its coordinator: a broker that stood still ended its transactions. The group tells which.
   */
  private void joinAgain() {
    fenced = false;
    consumer.unsubscribe();
    LockSupport.parkNanos(REJOIN_NANOS);
    consumer.subscribe(List.of(options.positionsTopic()), new Ownership());
  }

  private void stop(Collection<Integer> shards) {
    for (int shard : shards) {
      Running run = running.get(shard);
      if (run != null) {
        run.relay().stop();
      }
    }
    for (int shard : shards) {
      Running run = running.remove(shard);
      if (run != null) {
        try {
          run.thread().join(JOIN.toMillis());
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
        }
      }
    }
  }

  /** Starts and stops shards with their partitions. */
  private final class Ownership implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      // positions are read by the shards themselves, to the end, after fencing
      consumer.pause(partitions);
      for (TopicPartition partition : partitions) {
        int shard = partition.partition();
        ShardRelay relay =
            new ShardRelay(
                dataSource,
                dialect,
                topics,
                destinations,
                options,
                counters,
                shard,
                wal,
                () -> fenced = true);
        Thread own = new Thread(relay, "outbox-" + options.name() + "-" + shard);
        own.setDaemon(true);
        running.put(shard, new Running(relay, own));
        own.start();
      }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      stop(partitions.stream().map(TopicPartition::partition).toList());
    }
  }
}
