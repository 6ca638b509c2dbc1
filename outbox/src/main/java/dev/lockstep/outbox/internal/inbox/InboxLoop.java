package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.ClaimLostException;
import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.InboxHealth;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.inbox.Batch.Outcome;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.InvalidOffsetException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Polls, hands each partition's messages to a {@link Batch}, and waits where one failed. */
public final class InboxLoop implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(InboxLoop.class);
  private static final Duration POLL = Duration.ofMillis(100);
  private static final long FIRST_WAIT_MS = 100;
  private static final long REJOIN_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long LOOK_NANOS = Duration.ofSeconds(3).toNanos();
  private static final long RETRY_NANOS = Duration.ofSeconds(1).toNanos();
  private static final long TIMEOUT_SECONDS = 20;
  private static final Duration CREATED = Duration.ofSeconds(3);
  private static final long PAUSE_NANOS = Duration.ofMillis(200).toNanos();

  /**
   * A partition that waits for its next attempt.
   *
   * @param offset of the message that failed
   * @param attempts so far
   */
  private record Waiting(long offset, int attempts, long until, long millis) {}

  private final Outbox outbox;
  private final InboxOptions options;
  private final Batch batch;
  private final Retries retries;
  private final Claims claims;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private final Map<TopicPartition, Taken> owned = new HashMap<>();
  private final Map<TopicPartition, Waiting> waiting = new HashMap<>();
  private final Set<TopicPartition> unclaimed = new HashSet<>();
  private final Map<String, String> faults = new ConcurrentHashMap<>();
  private final AtomicLong handled = new AtomicLong();
  private final AtomicLong repeats = new AtomicLong();
  private final AtomicLong parked = new AtomicLong();
  private volatile @Nullable String groupFault;
  private volatile boolean stopping;
  private boolean joined;
  private long lookedAt = System.nanoTime();
  private long retriedAt = System.nanoTime();

  public InboxLoop(Outbox outbox, InboxOptions options, InboxHandler handler) {
    this.outbox = outbox;
    this.options = options;
    this.batch = new Batch(outbox, options, handler, System::nanoTime);
    this.retries = new Retries(outbox, options, handler);
    Map<String, Object> settings = options.config().client();
    settings.put("group.id", options.config().named(options.consumer()));
    // sends that were aborted are no messages
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("max.poll.records", options.batch());
    // a jump must be said, never made
    settings.put("auto.offset.reset", "none");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    this.claims = new Claims(outbox, options, consumer);
    this.thread = new Thread(this::run, "inbox-" + options.consumer());
    thread.setDaemon(true);
  }

  /** Checks topics, then joins. */
  public void start() {
    try {
      requireTopics();
    } catch (RuntimeException e) {
      consumer.close();
      throw e;
    }
    thread.start();
  }

  /** All that is wrong at once; a topic that was just created may not be known to all brokers. */
  private void requireTopics() {
    long giveUp = System.nanoTime() + CREATED.toNanos();
    Set<String> missing = missing();
    while (!missing.isEmpty() && System.nanoTime() < giveUp) {
      LockSupport.parkNanos(PAUSE_NANOS);
      missing = missing();
    }
    List<String> wrong = new ArrayList<>();
    missing.forEach(topic -> wrong.add("topic '%s' does not exist".formatted(topic)));
    if (options.mode() == Mode.OFFSETS) {
      wrong.addAll(ofTheExpressLane());
    }
    if (!wrong.isEmpty()) {
      throw new OutboxException(
          "Consumer '%s' cannot start: %s".formatted(options.consumer(), String.join("; ", wrong)));
    }
  }

  private Set<String> missing() {
    Set<String> missing = new TreeSet<>(options.topics());
    missing.removeAll(consumer.listTopics(Duration.ofSeconds(TIMEOUT_SECONDS)).keySet());
    return missing;
  }

  private List<String> ofTheExpressLane() {
    try {
      return new TopicTable(outbox.dataSource())
          .all().entrySet().stream()
              .filter(known -> options.topics().contains(known.getKey()))
              .filter(known -> known.getValue().lane() == Lane.EXPRESS)
              .map(
                  known ->
                      "topic '%s' is of the express lane, where a repeat has an offset of its own: use Mode.IDS"
                          .formatted(known.getKey()))
              .toList();
    } catch (SQLException e) {
      throw new OutboxException("Registered topics could not be read", e);
    }
  }

  public InboxHealth health() {
    return new InboxHealth(
        new TreeMap<>(faults),
        handled.get(),
        repeats.get(),
        parked.get(),
        Optional.ofNullable(groupFault));
  }

  @Override
  public void close() {
    stopping = true;
    consumer.wakeup();
    try {
      thread.join(TimeUnit.SECONDS.toMillis(TIMEOUT_SECONDS));
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    try (consumer) {
      boolean joins = true;
      while (!stopping) {
        try {
          if (joins) {
            join();
            joins = false;
          }
          turn();
        } catch (WakeupException e) {
          break;
        } catch (InvalidOffsetException e) {
          // its claim is looked at anew, and tells what is missing
          LOG.warn("'{}' joins again: {}", options.consumer(), e.getMessage());
          joins = true;
        } catch (ClaimLostException e) {
          LOG.info("{}", e.getMessage());
          joins = true;
        } catch (Throwable e) {
          groupFault = "consumer '%s': %s".formatted(options.consumer(), e);
          LOG.warn("{}; joining again", groupFault, e);
          joins = true;
        }
      }
    } finally {
      if (!stopping) {
        groupFault = "consumer '%s' has ended".formatted(options.consumer());
      }
    }
  }

  private void turn() {
    resume();
    ConsumerRecords<byte[], byte[]> polled = consumer.poll(POLL);
    groupFault = null;
    for (TopicPartition partition : polled.partitions()) {
      Taken taken = owned.get(partition);
      if (taken != null) {
        handle(partition, polled.records(partition), taken);
      }
    }
    long now = System.nanoTime();
    if (now - lookedAt > LOOK_NANOS) {
      lookedAt = now;
      passMarkers();
      claimAgain();
    }
    if (now - retriedAt > RETRY_NANOS && retry()) {
      retriedAt = now;
    }
  }

  /** Returns false when some are left: new messages come in between. */
  private boolean retry() {
    long begun = System.nanoTime();
    try {
      for (TopicPartition partition : retries.partitions()) {
        Taken taken = owned.get(partition);
        if (taken == null) {
          continue;
        }
        for (long n : retries.of(partition)) {
          retry(n, taken);
          if (stopping || System.nanoTime() - begun > RETRY_NANOS) {
            return false;
          }
        }
      }
    } catch (SQLException e) {
      LOG.debug("Parked messages of '{}' are handled again later", options.consumer(), e);
    }
    return true;
  }

  /** One that the database refuses holds up none behind it. */
  private void retry(long n, Taken taken) {
    try {
      handled.addAndGet(retries.handle(n, taken) ? 1 : 0);
    } catch (SQLException e) {
      LOG.debug("Parked message {} of '{}' is handled again later", n, options.consumer(), e);
    }
  }

  /**
   * Behind the last record lies the marker of its transaction. Where it stood there for longer than
   * the topic keeps records, the next claim would find its offset gone and take that for a loss.
   */
  private void passMarkers() {
    for (Map.Entry<TopicPartition, Taken> one : owned.entrySet()) {
      Taken taken = one.getValue();
      if (waiting.containsKey(one.getKey())) {
        continue;
      }
      long position = consumer.position(one.getKey());
      if (position <= taken.next()) {
        continue;
      }
      try {
        outbox.inTransaction(
            tx -> {
              taken.begin(tx);
              taken.end(tx, position);
            });
        commit(one.getKey(), position);
        taken.reached(position);
      } catch (SQLException e) {
        LOG.debug("{} is moved behind its markers later", one.getKey(), e);
      }
    }
  }

  /** Partitions whose leader or line could not be had. */
  private void claimAgain() {
    for (TopicPartition partition : List.copyOf(unclaimed)) {
      claim(partition);
    }
  }

  private void handle(
      TopicPartition partition, List<ConsumerRecord<byte[], byte[]>> records, Taken taken) {
    long first = records.get(0).offset();
    Waiting before = waiting.get(partition);
    int attempt = before != null && before.offset() == first ? before.attempts() + 1 : 1;
    try {
      Outcome outcome = batch.handle(records, taken, attempt);
      handled.addAndGet(outcome.handled());
      repeats.addAndGet(outcome.repeats());
      parked.addAndGet(outcome.parked());
      commit(partition, outcome.next());
      taken.reached(outcome.next());
      String refused = outcome.refused();
      if (refused == null) {
        waiting.remove(partition);
        faults.remove(partition.toString());
        if (outcome.next() <= records.get(records.size() - 1).offset()) {
          // the transaction ended for its length
          consumer.seek(partition, outcome.next());
        }
      } else {
        int tried = outcome.next() == first ? attempt : 1;
        await(
            partition,
            outcome.next(),
            tried,
            "offset %d was refused %d times: %s".formatted(outcome.next(), tried, refused));
      }
    } catch (SQLException e) {
      // nothing of the batch is done; its first message is not to blame
      await(partition, first, attempt - 1, "the database refuses: " + e);
    }
  }

  /** Asks for the message again after a while; other partitions go on. */
  private void await(TopicPartition partition, long offset, int attempts, String fault) {
    Waiting before = waiting.get(partition);
    long millis =
        before == null || before.offset() != offset
            ? FIRST_WAIT_MS
            : Math.min(options.longestWait().toMillis(), before.millis() * 2);
    LOG.warn("{} of '{}' waits {} ms: {}", partition, options.consumer(), millis, fault);
    faults.put(partition.toString(), fault);
    waiting.put(
        partition,
        new Waiting(
            offset, attempts, System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis), millis));
    consumer.seek(partition, offset);
    consumer.pause(List.of(partition));
  }

  private void resume() {
    long now = System.nanoTime();
    consumer.resume(
        consumer.paused().stream()
            .filter(partition -> !unclaimed.contains(partition))
            .filter(partition -> isDue(waiting.get(partition), now))
            .toList());
  }

  private static boolean isDue(@Nullable Waiting one, long now) {
    return one == null || now - one.until() >= 0;
  }

  /** By offset it only shows how far the group is; by id it is what a restart begins from. */
  private void commit(TopicPartition partition, long next) {
    consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(next)), null);
  }

  private void join() {
    if (joined) {
      consumer.unsubscribe();
      owned.clear();
      unclaimed.clear();
      waiting.clear();
      LockSupport.parkNanos(REJOIN_NANOS);
    }
    joined = true;
    consumer.subscribe(options.topics(), new Ownership());
  }

  /** One that cannot be claimed is stopped, says why, and is claimed again; others go on. */
  private void claim(TopicPartition partition) {
    unclaimed.add(partition);
    consumer.pause(List.of(partition));
    try {
      Claims.Start start = claims.claim(partition);
      consumer.seek(partition, start.next());
      String missing = claims.missing(partition, start.next());
      if (missing != null) {
        faults.put(partition.toString(), missing);
        LOG.error("{} of '{}': {}", partition, options.consumer(), missing);
        return;
      }
      owned.put(partition, start.taken());
      unclaimed.remove(partition);
      faults.remove(partition.toString());
      consumer.resume(List.of(partition));
    } catch (SQLException | KafkaException | OutboxException e) {
      faults.put(partition.toString(), "cannot be claimed: " + e);
      LOG.warn("{} cannot be claimed for '{}' now", partition, options.consumer(), e);
    }
  }

  /** Claims partitions that come, and forgets those that go. */
  private final class Ownership implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      for (TopicPartition partition : partitions) {
        // without a position of its own the poll would fail for all
        consumer.seek(partition, 0);
        claim(partition);
      }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      for (TopicPartition partition : partitions) {
        owned.remove(partition);
        unclaimed.remove(partition);
        waiting.remove(partition);
        faults.remove(partition.toString());
      }
    }
  }
}
