package dev.lockstep.kernel.internal.follow;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.LogTime;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.PartitionStoppedException;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.internal.engine.Fold;
import dev.lockstep.kernel.internal.engine.FoldSpec;
import dev.lockstep.kernel.internal.streams.LogReader;
import dev.lockstep.kernel.internal.streams.StreamsSettings;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Layout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Folds input partitions beside the host: seeded from committed state, then record by record.
 *
 * <p>Threads: one folds, another seeds, so that a long seed holds up nobody. What does not fit is
 * never passed over: the partition is seeded again.
 */
public final class LogFollower implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(LogFollower.class);
  private static final Duration ANSWER = Duration.ofSeconds(5);
  private static final long FIRST_RETRY_MS = 100;
  private static final long LAST_RETRY_MS = 5_000;
  private static final long PAUSE_NANOS = TimeUnit.MILLISECONDS.toNanos(200);
  private static final long TOPIC_EVERY_SECONDS = 5;

  private final MachineSpec machine;
  private final LockstepConfig config;
  private final String applicationId;
  private final Layout layout;
  private final Sink sink;
  private final Admin admin;
  private final LogReader log;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Map<Integer, Followed> partitions = new ConcurrentHashMap<>();
  private final Queue<Followed> seeded = new ConcurrentLinkedQueue<>();
  private final Set<TopicPartition> assigned = new HashSet<>(); // folding thread only
  private final ScheduledExecutorService seeder;
  private final Thread thread;
  private volatile boolean closing;

  LogFollower(MachineSpec machine, LockstepConfig config, Layout layout, Sink sink) {
    this.machine = machine;
    this.config = config;
    this.applicationId = StreamsSettings.applicationId(config, machine, layout.getTopicEpoch());
    this.layout = layout;
    this.sink = sink;
    this.admin = Admin.create(config.client());
    this.log = new LogReader(admin, config, ANSWER);
    Map<String, Object> settings = config.client();
    // as the host reads: a record of an aborted transaction exists for neither
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "none");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    String name = applicationId + "-follower";
    this.seeder =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread made = new Thread(task, name + "-seeds");
              made.setDaemon(true);
              return made;
            });
    this.thread = new Thread(this::run, name);
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
    var unused =
        seeder.scheduleWithFixedDelay(
            this::compareTopicId, TOPIC_EVERY_SECONDS, TOPIC_EVERY_SECONDS, TimeUnit.SECONDS);
  }

  /** Follows a partition from now on; nothing when it is followed already. */
  public void follow(int partition) {
    if (partition < 0 || partition >= layout.getPartitions()) {
      throw new IllegalArgumentException(
          "Partition %d of '%s' does not exist: the Layout has %d"
              .formatted(partition, machine.inputTopic(), layout.getPartitions()));
    }
    partitions.computeIfAbsent(
        partition,
        p -> {
          Followed followed = new Followed(new TopicPartition(machine.inputTopic(), p));
          seed(followed, 0);
          return followed;
        });
  }

  /** Follows all partitions. */
  public void followAll() {
    for (int i = 0; i < layout.getPartitions(); i++) {
      follow(i);
    }
  }

  /** Returns where each partition stands. */
  public Map<Integer, Follower.Progress> progress() {
    Map<Integer, Follower.Progress> all = new TreeMap<>();
    partitions.forEach((partition, followed) -> all.put(partition, followed.progress()));
    return all;
  }

  /** Shows the state of a partition between two records. */
  public <T> T read(int partition, Function<Store, T> reader) {
    return followed(partition).read(reader);
  }

  /** Returns log time at the last record that was folded. */
  public LogTime now(int partition) {
    return followed(partition).now();
  }

  /** Returns what was taken from each source. */
  public List<CarriedMark> marks(int partition) {
    return followed(partition).marks();
  }

  private Followed followed(int partition) {
    Followed followed = partitions.get(partition);
    if (followed == null) {
      throw new KernelException(
          "%s-%d is not followed here".formatted(machine.inputTopic(), partition));
    }
    return followed;
  }

  /** Waits until everything is folded that stands in the log now. */
  public boolean awaitCurrent(Duration atMost) throws InterruptedException {
    long giveUp = System.nanoTime() + atMost.toNanos();
    Map<TopicPartition, Long> ends = ends();
    while (true) {
      boolean current =
          partitions.values().stream()
              .allMatch(
                  followed -> {
                    Follower.Progress progress = followed.progress();
                    return progress.state() == Follower.State.FOLLOWING
                        && progress.nextOffset() >= ends.getOrDefault(followed.partition(), 0L);
                  });
      if (current || System.nanoTime() > giveUp) {
        return current;
      }
      TimeUnit.MILLISECONDS.sleep(1);
    }
  }

  @Override
  public void close() {
    closing = true;
    seeder.shutdownNow();
    consumer.wakeup();
    try {
      thread.join(ANSWER.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      admin.close(Duration.ofSeconds(2));
    }
  }

  private void run() {
    try (consumer;
        sink) {
      while (!closing) {
        try {
          round();
        } catch (WakeupException e) {
          // a partition was seeded, or this is closed
        } catch (InterruptException e) {
          return;
        } catch (KafkaException e) {
          LOG.warn("{} cannot be followed and is tried again", machine.inputTopic(), e);
          LockSupport.parkNanos(PAUSE_NANOS);
        }
      }
    } catch (Throwable e) {
      LOG.error("Follower of {} ends", machine.inputTopic(), e);
      partitions.values().forEach(followed -> followed.stop("the follower ended: " + e));
      throw e;
    }
  }

  private void round() {
    assignSeeded();
    if (assigned.isEmpty()) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(5));
      return;
    }
    ConsumerRecords<byte[], byte[]> records;
    try {
      records = consumer.poll(Duration.ofMillis(sink.periodMillis()));
    } catch (OffsetOutOfRangeException e) {
      // also a log that was cut: its leader epoch tells
      for (TopicPartition partition : e.offsetOutOfRangePartitions().keySet()) {
        again(
            followed(partition),
            "the log has no offset " + e.offsetOutOfRangePartitions().get(partition));
      }
      return;
    }
    for (TopicPartition partition : records.partitions()) {
      fold(followed(partition), records.records(partition));
    }
    List<Followed> following = partitions.values().stream().filter(Followed::isFollowing).toList();
    if (!sink.afterPoll(following)) {
      following.forEach(
          followed -> again(followed, "its effects could not be delivered: see the log"));
    }
  }

  private void fold(Followed followed, List<ConsumerRecord<byte[], byte[]>> records) {
    for (ConsumerRecord<byte[], byte[]> record : records) {
      if (!followed.isFollowing()) {
        return;
      }
      List<Announcement> effects;
      try {
        effects = followed.apply(record);
      } catch (PartitionStoppedException | ImpureMachineException e) {
        stop(followed, String.valueOf(e.getMessage()));
        return;
      } catch (KernelException e) {
        again(followed, String.valueOf(e.getMessage()));
        return;
      } catch (RuntimeException e) {
        stop(followed, "the machine failed at offset %d with %s".formatted(record.offset(), e));
        LOG.error("{} is followed no more", followed.partition(), e);
        return;
      }
      sink.take(followed.partition(), effects);
    }
  }

  private void assignSeeded() {
    List<Followed> fresh = new ArrayList<>();
    for (Followed next = seeded.poll(); next != null; next = seeded.poll()) {
      fresh.add(next);
    }
    for (Followed followed : fresh) {
      if (!followed.isFollowing()) {
        continue;
      }
      assigned.add(followed.partition());
      consumer.assign(assigned);
      consumer.seek(followed.partition(), followed.nextOffset());
    }
  }

  private void stop(Followed followed, String reason) {
    followed.stop(reason);
    unassign(followed);
  }

  private void again(Followed followed, String reason) {
    int times = followed.seedAgain(reason);
    unassign(followed);
    LOG.warn("{} is seeded again: {}", followed.partition(), reason);
    seed(followed, times);
  }

  private void unassign(Followed followed) {
    assigned.remove(followed.partition());
    consumer.assign(assigned);
  }

  private Followed followed(TopicPartition partition) {
    return requireNonNull(partitions.get(partition.partition()));
  }

  private void seed(Followed followed, int times) {
    long wait = times == 0 ? 0 : Math.min(LAST_RETRY_MS, FIRST_RETRY_MS << Math.min(times, 10));
    try {
      var unused = seeder.schedule(() -> seedNow(followed), wait, TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      // closed meanwhile
    }
  }

  private void seedNow(Followed followed) {
    if (closing || followed.progress().state() == Follower.State.STOPPED) {
      return;
    }
    TopicPartition partition = followed.partition();
    try {
      FoldSpec spec =
          new FoldSpec(
              machine,
              partition.partition(),
              FoldSpec.UNWRITTEN_ROWS,
              false,
              alarm -> LOG.warn("{}: {}", partition, alarm));
      TopicPartition changelog =
          new TopicPartition(StreamsSettings.changelog(applicationId), partition.partition());
      Fold fold = Fold.over(spec, Seed.read(config, changelog));
      long start = log.range(partition).start();
      if (fold.nextOffset() < start) {
        throw new KernelException(
            "the committed state stands at %d, the log begins at %d; the host must commit first"
                .formatted(fold.nextOffset(), start));
      }
      followed.seeded(fold);
      seeded.add(followed);
      consumer.wakeup();
    } catch (PartitionStoppedException e) {
      followed.stop(String.valueOf(e.getMessage()));
    } catch (RuntimeException e) {
      if (!closing) {
        int times = followed.seedAgain("could not be seeded: " + e.getMessage());
        LOG.warn("{} could not be seeded and is tried again: {}", partition, e.toString());
        seed(followed, times);
      }
    } catch (Error e) {
      followed.stop("could not be seeded: " + e);
      throw e;
    }
  }

  /** A topic that was created again has another history behind the same offsets. */
  private void compareTopicId() {
    try {
      String now =
          requireNonNull(
                  admin
                      .describeTopics(List.of(machine.inputTopic()))
                      .allTopicNames()
                      .get(ANSWER.toMillis(), TimeUnit.MILLISECONDS)
                      .get(machine.inputTopic()))
              .topicId()
              .toString();
      if (!now.equals(layout.getTopicId())) {
        String reason =
            "%s was created again (topic id %s, the Layout has %s): start a new follower"
                .formatted(machine.inputTopic(), now, layout.getTopicId());
        partitions.values().forEach(followed -> followed.stop(reason));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException | RuntimeException e) {
      LOG.debug("{} could not be described", machine.inputTopic(), e);
    }
  }

  private Map<TopicPartition, Long> ends() {
    Map<TopicPartition, Long> ends = new HashMap<>();
    for (Followed followed : partitions.values()) {
      ends.put(followed.partition(), log.range(followed.partition()).end());
    }
    return ends;
  }
}
