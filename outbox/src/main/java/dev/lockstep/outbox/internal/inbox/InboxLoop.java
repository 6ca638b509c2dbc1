package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.ClaimLostException;
import dev.lockstep.outbox.Inbox;
import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.InboxHealth;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.OffsetInbox;
import dev.lockstep.outbox.OffsetInbox.Claim;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.inbox.Batch.Outcome;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.InvalidOffsetException;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
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
  private static final long TIMEOUT_SECONDS = 20;

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
  private final OffsetInbox offsets;
  private final Inbox ids;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread thread;
  private final Map<TopicPartition, Taken> owned = new HashMap<>();
  private final Map<TopicPartition, Waiting> waiting = new HashMap<>();
  private final Map<String, String> faults = new ConcurrentHashMap<>();
  private final AtomicLong handled = new AtomicLong();
  private final AtomicLong repeats = new AtomicLong();
  private final AtomicLong parked = new AtomicLong();
  private volatile @Nullable String groupFault;
  private volatile boolean stopping;

  public InboxLoop(Outbox outbox, InboxOptions options, InboxHandler handler) {
    this.outbox = outbox;
    this.options = options;
    this.batch = new Batch(outbox, options, handler);
    this.offsets = new OffsetInbox(options.consumer());
    this.ids = new Inbox(options.consumer());
    Map<String, Object> settings = options.config().client();
    settings.put("group.id", options.config().named(options.consumer()));
    // sends that were aborted are no messages
    settings.put("isolation.level", "read_committed");
    settings.put("enable.auto.commit", "false");
    settings.put("max.poll.records", options.batch());
    // with offsets of our own a jump must be said, never made
    settings.put("auto.offset.reset", options.mode() == Mode.OFFSETS ? "none" : "earliest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
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

  private void requireTopics() {
    List<String> wrong = new ArrayList<>();
    TopicTable registered = new TopicTable(outbox.dataSource());
    try {
      TreeSet<String> missing = new TreeSet<>(options.topics());
      missing.removeAll(consumer.listTopics(Duration.ofSeconds(TIMEOUT_SECONDS)).keySet());
      missing.forEach(topic -> wrong.add("topic '%s' does not exist".formatted(topic)));
      if (options.mode() == Mode.OFFSETS) {
        for (String topic : options.topics()) {
          TopicTable.Topic known = registered.all().get(topic);
          if (known != null && known.lane() == Lane.EXPRESS) {
            wrong.add(
                "topic '%s' is of the express lane, where a repeat has an offset of its own: use Mode.IDS"
                    .formatted(topic));
          }
        }
      }
    } catch (SQLException e) {
      throw new OutboxException("Registered topics could not be read", e);
    }
    if (!wrong.isEmpty()) {
      throw new OutboxException(
          "Consumer '%s' cannot start: %s".formatted(options.consumer(), String.join("; ", wrong)));
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
      consumer.subscribe(options.topics(), new Ownership());
      while (!stopping) {
        try {
          turn();
        } catch (WakeupException e) {
          break;
        } catch (InvalidOffsetException e) {
          joinAgain();
          lost(e);
        } catch (ClaimLostException e) {
          LOG.info("{}", e.getMessage());
          joinAgain();
        } catch (Throwable e) {
          groupFault = "consumer '%s': %s".formatted(options.consumer(), e);
          LOG.warn("{}; joining again", groupFault, e);
          joinAgain();
        }
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
      String refused = outcome.refused();
      if (refused == null) {
        waiting.remove(partition);
        faults.remove(partition.toString());
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

  /** Records that nobody handled are gone, or the topic was made anew. */
  private void lost(InvalidOffsetException e) {
    for (TopicPartition partition : e.partitions()) {
      String fault =
          "%s: what comes next for '%s' is not in the topic any more: %s"
              .formatted(partition, options.consumer(), e.getMessage());
      LOG.error("{}", fault);
      faults.put(partition.toString(), fault);
    }
  }

  private void joinAgain() {
    consumer.unsubscribe();
    owned.clear();
    waiting.clear();
    if (!stopping) {
      LockSupport.parkNanos(REJOIN_NANOS);
      consumer.subscribe(options.topics(), new Ownership());
    }
  }

  private Map<String, TopicDescription> describe(Collection<String> topics) {
    try (Admin admin = Admin.create(options.config().client())) {
      return admin.describeTopics(topics).allTopicNames().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at topics", e);
    } catch (ExecutionException | TimeoutException e) {
      throw new OutboxException("Topics %s cannot be described: %s".formatted(topics, e), e);
    }
  }

  /** Claims partitions that come, and forgets those that go. */
  private final class Ownership implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      if (partitions.isEmpty()) {
        return;
      }
      if (options.mode() == Mode.IDS) {
        partitions.forEach(partition -> owned.put(partition, new ById(ids)));
        return;
      }
      Map<String, TopicDescription> topics =
          describe(partitions.stream().map(TopicPartition::topic).distinct().toList());
      Map<TopicPartition, Long> beginnings = consumer.beginningOffsets(partitions);
      for (TopicPartition partition : partitions) {
        String topicId = Objects.requireNonNull(topics.get(partition.topic())).topicId().toString();
        long beginning = beginnings.getOrDefault(partition, 0L);
        Claim claim = claim(partition, topicId, beginning);
        owned.put(partition, new ByOffset(offsets, claim));
        consumer.seek(partition, claim.nextOffset());
      }
    }

    private Claim claim(TopicPartition partition, String topicId, long beginning) {
      try {
        return outbox.callInTransaction(
            tx ->
                offsets.claim(
                    tx.connection(), partition.topic(), topicId, partition.partition(), beginning));
      } catch (SQLException e) {
        throw new OutboxException(
            "%s cannot be claimed for '%s': %s"
                .formatted(partition, options.consumer(), e.getMessage()),
            e);
      }
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      for (TopicPartition partition : partitions) {
        owned.remove(partition);
        waiting.remove(partition);
        faults.remove(partition.toString());
      }
    }
  }
}
