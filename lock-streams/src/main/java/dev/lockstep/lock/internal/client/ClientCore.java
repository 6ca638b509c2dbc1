package dev.lockstep.lock.internal.client;

import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.lock.LockException;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Sends commands, hears replies, keeps sessions alive. Thread-safe. */
public final class ClientCore implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ClientCore.class);
  private static final long LOOK_MS = 20;
  private static final long RESEND_MS = 200;

  private final LockClientOptions options;
  private final String client = UUID.randomUUID().toString();
  private final String commands;
  private final Layout layout;
  private final ReplyTo replyTo;
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final Map<Integer, PartitionSession> sessions = new ConcurrentHashMap<>();
  private final Map<String, CompletableFuture<Boolean>> releases = new ConcurrentHashMap<>();
  private final KafkaProducer<byte[], byte[]> producer;
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Thread listener;
  private final ScheduledExecutorService timer;

  /** Of its own: a send may block for a while, and a lease must not look safe meanwhile. */
  private final ScheduledExecutorService watch;

  private volatile boolean closing;
  private volatile @Nullable String fault;

  public ClientCore(LockClientOptions options) {
    this.options = options;
    this.commands = options.config().named(LockSchemas.COMMANDS);
    String replies = options.config().named(LockSchemas.REPLIES);
    this.layout = layout(options);
    int partition = Partitions.of(client, count(layout, replies));
    this.replyTo = new ReplyTo(replies, partition, client);
    Map<String, Object> settings = options.config().client();
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    settings.put("delivery.timeout.ms", "10000");
    settings.put("request.timeout.ms", "4000");
    this.producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    Map<String, Object> reading = options.config().client();
    reading.put("enable.auto.commit", "false");
    reading.put("auto.offset.reset", "latest");
    this.consumer =
        new KafkaConsumer<>(reading, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    TopicPartition own = new TopicPartition(replies, partition);
    consumer.assign(List.of(own));
    consumer.seekToEnd(List.of(own));
    // lazy otherwise: a reply between here and the first poll would be missed
    consumer.position(own);
    this.listener = new Thread(this::listen, "lock-client-replies");
    listener.setDaemon(true);
    listener.start();
    this.timer = scheduler("lock-client-timer");
    this.watch = scheduler("lock-client-watch");
    long beat = Math.max(200, options.ttl().toMillis() / 4);
    var unused = repeat(timer, beat, this::beat);
    unused = repeat(watch, LOOK_MS, this::look);
  }

  private static ScheduledExecutorService scheduler(String name) {
    ScheduledThreadPoolExecutor scheduler =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, name);
              thread.setDaemon(true);
              return thread;
            });
    // each acquire leaves a task for the case that nobody answers
    scheduler.setRemoveOnCancelPolicy(true);
    return scheduler;
  }

  /** A scheduler drops a task that throws: beats and looks must go on whatever happens. */
  private static ScheduledFuture<?> repeat(
      ScheduledExecutorService scheduler, long millis, Runnable task) {
    return scheduler.scheduleAtFixedRate(
        () -> {
          try {
            task.run();
          } catch (RuntimeException e) {
            LOG.error("Lock client: a chore failed and goes on", e);
          }
        },
        millis,
        millis,
        TimeUnit.MILLISECONDS);
  }

  /** Acquires keys, partition by partition in ascending order: no cycle of waiting. */
  public CompletableFuture<Lease> acquire(List<String> keys, Duration wait) {
    TreeMap<Integer, List<String>> parts = new TreeMap<>();
    for (String key : keys) {
      parts
          .computeIfAbsent(Partitions.of(key, layout.getPartitions()), p -> new ArrayList<>())
          .add(key);
    }
    return new Acquisition(this, parts, wait).start();
  }

  void sendAcquire(
      PartitionSession session, String owner, long number, List<String> keys, long waitMillis) {
    long sentAt = System.nanoTime();
    send(
        session,
        keys.get(0),
        new Acquire(
            owner,
            number,
            session.lowestUnanswered(),
            options.ttl().toMillis(),
            keys,
            waitMillis,
            replyTo),
        nothing -> session.appended(sentAt));
  }

  void sendCancel(PartitionSession session, String owner, long number, List<String> keys) {
    send(
        session,
        keys.get(0),
        new Cancel(owner, session.numberOnly(), session.lowestUnanswered(), number),
        nothing -> {});
  }

  /** Runs something later, on the thread of the timer. */
  Future<?> in(Duration delay, Runnable task) {
    try {
      return timer.schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      // the client is being closed, which answers whoever waits
      return CompletableFuture.completedFuture(null);
    }
  }

  /** Waits for a lease; an interrupt gives up the place in the queue. */
  public Lease await(CompletableFuture<Lease> lease, List<String> keys)
      throws InterruptedException {
    try {
      return lease.get();
    } catch (InterruptedException e) {
      lease.cancel(false);
      throw e;
    } catch (ExecutionException e) {
      if (e.getCause() instanceof LockException known) {
        throw known;
      }
      throw new LockException("Locks on " + keys + " could not be acquired", e);
    }
  }

  CompletableFuture<Boolean> release(Granted grant) {
    PartitionSession session = grant.session();
    session.drop(grant.number());
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    if (closing || !session.owner().equals(grant.owner())) {
      done.complete(false);
      return done;
    }
    long number = session.numberOnly();
    releases.put(grant.owner() + "#" + number, done);
    send(
        session,
        grant.keys().get(0),
        new Release(
            grant.owner(),
            number,
            session.lowestUnanswered(),
            grant.number(),
            grant.token(),
            replyTo),
        nothing -> {});
    return done;
  }

  /** Returns what is being waited out. */
  public @Nullable String fault() {
    return fault;
  }

  @Override
  public void close() {
    closing = true;
    for (PartitionSession session : sessions.values()) {
      String owner = session.owner();
      PartitionSession.Ended ended = session.end();
      ended
          .pending()
          .forEach(p -> p.answer().completeExceptionally(new LockException("Client was closed")));
      var unused =
          producer.send(
              new ProducerRecord<>(
                  commands,
                  session.partition(),
                  owner.getBytes(StandardCharsets.UTF_8),
                  codec.encode(new CloseSession(owner))));
    }
    timer.shutdownNow();
    watch.shutdownNow();
    consumer.wakeup();
    try {
      listener.join(5_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    producer.close(Duration.ofSeconds(5));
    releases.values().forEach(f -> f.complete(false));
  }

  private void send(
      PartitionSession session, String key, Object command, Consumer<Boolean> onAppended) {
    if (closing) {
      return;
    }
    var unused =
        producer.send(
            new ProducerRecord<>(
                commands,
                session.partition(),
                key.getBytes(StandardCharsets.UTF_8),
                codec.encode(command)),
            (metadata, error) -> {
              if (error == null) {
                fault = null;
                onAppended.accept(true);
              } else if (!closing) {
                fault = "Commands cannot be appended to '%s': %s".formatted(commands, error);
                LOG.warn("Lock command was not appended, sent again: {}", error.toString());
                timer.schedule(
                    () -> send(session, key, command, onAppended),
                    RESEND_MS,
                    TimeUnit.MILLISECONDS);
              }
            });
  }

  private void listen() {
    try (consumer) {
      while (!closing) {
        try {
          for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
            if (client.equals(new String(record.key(), StandardCharsets.UTF_8))) {
              heard(record);
            }
          }
        } catch (WakeupException e) {
          return;
        } catch (KafkaException e) {
          fault = "Replies cannot be read from '%s': %s".formatted(replyTo.getTopic(), e);
          LOG.warn("{}", fault);
        }
      }
    }
  }

  private void heard(ConsumerRecord<byte[], byte[]> record) {
    Object reply;
    try {
      reply = codec.decode(record.value());
    } catch (SchemaException e) {
      LOG.warn("Lock reply at {} is skipped: {}", record.offset(), e.getMessage());
      return;
    }
    if (reply instanceof AcquireReply acquired) {
      acquired(acquired);
    } else if (reply instanceof ReleaseReply released) {
      CompletableFuture<Boolean> waiting =
          releases.remove(released.getOwner() + "#" + released.getNumber());
      if (waiting != null) {
        waiting.complete(released.getReleased());
      }
    } else if (reply instanceof SessionOk ok) {
      PartitionSession session = sessions.get(ok.getPartition());
      if (session != null
          && session.owner().equals(ok.getSession())
          && session.confirmed(ok.getBeat())) {
        session.grants().forEach(grant -> grant.changed(Lease.State.SAFE));
      }
    } else if (reply instanceof SessionExpired expired) {
      PartitionSession session = sessions.get(expired.getPartition());
      if (session != null && session.owner().equals(expired.getSession())) {
        expire(session);
      }
    }
  }

  private void acquired(AcquireReply reply) {
    PartitionSession session = sessions.get(reply.getPartition());
    if (session == null || !session.owner().equals(reply.getOwner())) {
      return;
    }
    PendingAcquire pending = session.answered(reply.getNumber());
    if (pending != null) {
      pending.answer().complete(reply);
    }
    if (reply.getOutcome() == AcquireOutcome.SESSION_EXPIRED) {
      expire(session);
    }
  }

  private void expire(PartitionSession session) {
    PartitionSession.Ended ended = session.end();
    ended.held().forEach(grant -> grant.changed(Lease.State.LOST));
    ended
        .pending()
        .forEach(
            p ->
                p.answer()
                    .completeExceptionally(
                        new Acquisition.SessionEndedException(
                            "Session ended while waiting for " + p.keys())));
  }

  private void beat() {
    for (PartitionSession session : sessions.values()) {
      if (session.isInUse()) {
        synchronized (session) {
          long beat = session.nextBeat();
          send(
              session,
              client,
              new KeepAlive(session.owner(), beat, replyTo),
              nothing -> session.beatAppended(beat));
        }
      }
    }
  }

  private void look() {
    for (PartitionSession session : sessions.values()) {
      if (session.fellIntoJeopardy()) {
        session.grants().forEach(grant -> grant.changed(Lease.State.JEOPARDY));
      }
    }
  }

  PartitionSession session(int partition) {
    return sessions.computeIfAbsent(
        partition,
        p -> new PartitionSession(client, p, options.ttl().toMillis(), layout.getTickMillis()));
  }

  private static Layout layout(LockClientOptions options) {
    String topic = options.config().named(LockSchemas.COMMANDS);
    try (TopicAdmin admin = new TopicAdmin(options.config())) {
      Layout found = admin.layouts().get(topic);
      if (found == null) {
        throw new LockException(
            "Topic '" + topic + "' has no Layout yet: create it with the topics command");
      }
      if (options.ttl().toMillis() < 10L * found.getTickMillis()) {
        throw new LockException(
            "ttl %s is below ten ticks of %d ms; make it longer"
                .formatted(options.ttl(), found.getTickMillis()));
      }
      return found;
    }
  }

  private static int count(Layout layout, String topic) {
    for (Destination destination : layout.getDestinations()) {
      if (destination.getTopic().equals(topic)) {
        return destination.getPartitions();
      }
    }
    throw new LockException("Reply topic '" + topic + "' is not a destination of the Layout");
  }
}
