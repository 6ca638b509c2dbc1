package dev.lockstep.lock.internal.client;

import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.internal.client.CommandSender.Outgoing;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends commands, hears replies, keeps sessions alive. Thread-safe.
 *
 * <p>Order of monitors: an {@link Acquisition}, then the sending of a session, then the session. No
 * code of the user runs under any of them ({@link Callbacks}).
 */
public final class ClientCore implements Commands, AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(ClientCore.class);
  private static final long LOOK_MS = 20;

  private final LockClientOptions options;
  private final String client = UUID.randomUUID().toString();
  private final Layout layout;
  private final ReplyTo replyTo;
  private final Map<Integer, PartitionSession> sessions = new ConcurrentHashMap<>();
  private final Map<String, CompletableFuture<Boolean>> releases = new ConcurrentHashMap<>();
  private final Set<Acquisition> acquisitions = ConcurrentHashMap.newKeySet();
  private final Callbacks callbacks = new Callbacks();
  private final ScheduledExecutorService timer = scheduler("lock-client-timer");

  /** Of its own: a send may block for a while, and a lease must not look safe meanwhile. */
  private final ScheduledExecutorService watch = scheduler("lock-client-watch");

  private final CommandSender sender;
  private final ReplyReader reader;
  private volatile boolean closing;

  public ClientCore(LockClientOptions options) {
    this.options = options;
    String replies = options.config().named(LockSchemas.REPLIES);
    this.layout = layout(options);
    this.replyTo = new ReplyTo(replies, Partitions.of(client, count(layout, replies)), client);
    this.sender = new CommandSender(options, this::in);
    this.reader = new ReplyReader(options, replyTo, this::heard);
    reader.start();
    repeat(timer, Math.max(200, options.ttl().toMillis() / 4), this::beat);
    repeat(watch, LOOK_MS, this::look);
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
  private static void repeat(ScheduledExecutorService scheduler, long millis, Runnable task) {
    var unused =
        scheduler.scheduleAtFixedRate(
            () -> {
              try {
                task.run();
              } catch (Throwable e) {
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
    Acquisition acquisition = new Acquisition(this, parts, wait);
    acquisitions.add(acquisition);
    CompletableFuture<Lease> lease = acquisition.start();
    if (closing) {
      // close() may have gone through the set before this one was in it
      acquisition.fail(closed());
    }
    return lease;
  }

  @Override
  public void ended(Acquisition acquisition) {
    acquisitions.remove(acquisition);
  }

  @Override
  public Callbacks callbacks() {
    return callbacks;
  }

  @Override
  public void sendAcquire(
      PartitionSession session, Ticket ticket, List<String> keys, long waitMillis) {
    Acquire acquire =
        new Acquire(
            ticket.owner(),
            ticket.number(),
            ticket.lowestUnanswered(),
            options.ttl().toMillis(),
            keys,
            waitMillis,
            replyTo);
    sender.send(new Outgoing(session, ticket.owner(), keys.get(0), acquire));
  }

  @Override
  public void sendCancel(PartitionSession session, Ticket asked, List<String> keys) {
    synchronized (session.sending()) {
      Ticket ticket = session.next(asked.owner());
      if (ticket != null) {
        Cancel cancel =
            new Cancel(ticket.owner(), ticket.number(), ticket.lowestUnanswered(), asked.number());
        sender.send(new Outgoing(session, ticket.owner(), keys.get(0), cancel));
      }
    }
  }

  /** Runs something later, on the thread of the timer. */
  @Override
  public Future<?> in(Duration delay, Runnable task) {
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

  @Override
  public CompletableFuture<Boolean> release(Granted grant) {
    PartitionSession session = grant.session();
    CompletableFuture<Boolean> done = new CompletableFuture<>();
    synchronized (session.sending()) {
      Ticket ticket =
          session.drop(grant.owner(), grant.number()) == null ? null : session.next(grant.owner());
      if (closing || ticket == null) {
        done.complete(false);
        return done;
      }
      String id = id(ticket.owner(), ticket.number());
      releases.put(id, done);
      sender.send(
          new Outgoing(
              session,
              ticket.owner(),
              grant.keys().get(0),
              release(grant, ticket),
              () -> {},
              () -> released(id, false)));
    }
    return done;
  }

  private Release release(Granted grant, Ticket ticket) {
    return new Release(
        ticket.owner(),
        ticket.number(),
        ticket.lowestUnanswered(),
        grant.number(),
        grant.token(),
        replyTo);
  }

  /** Returns what is being waited out. */
  @Override
  public @Nullable String fault() {
    String sending = sender.fault();
    return sending != null ? sending : reader.fault();
  }

  @Override
  public void close() {
    closing = true;
    sender.stop();
    List.copyOf(acquisitions).forEach(acquisition -> acquisition.fail(closed()));
    timer.shutdownNow();
    watch.shutdownNow();
    try {
      for (PartitionSession session : sessions.values()) {
        PartitionSession.Ended ended = session.end();
        ended.held().forEach(Granted::changed);
        sender.sendLast(session, ended.owner(), new CloseSession(ended.owner()));
      }
      reader.close();
      sender.close();
    } finally {
      // an interrupted caller, too, leaves nobody waiting
      List.copyOf(releases.keySet()).forEach(id -> released(id, false));
      callbacks.close();
    }
  }

  private static LockException closed() {
    return new LockException("Lock client was closed");
  }

  private static String id(String owner, long number) {
    return owner + "#" + number;
  }

  private void heard(Object reply) {
    if (reply instanceof AcquireReply acquired) {
      acquired(acquired);
    } else if (reply instanceof ReleaseReply released) {
      released(id(released.getOwner(), released.getNumber()), released.getReleased());
    } else if (reply instanceof SessionOk ok) {
      PartitionSession session = sessions.get(ok.getPartition());
      if (session != null && session.beatAnswered(ok.getSession(), ok.getBeat())) {
        safeAgain(session);
      }
    } else if (reply instanceof SessionExpired expired) {
      expire(sessions.get(expired.getPartition()), expired.getSession());
    } else if (reply instanceof ForceReleased forced) {
      forced(sessions.get(forced.getPartition()), forced);
    }
  }

  private void acquired(AcquireReply reply) {
    PartitionSession session = sessions.get(reply.getPartition());
    if (session == null) {
      return;
    }
    PendingAcquire pending = session.answered(reply.getOwner(), reply.getNumber());
    if (pending != null) {
      // a denied one is no sign of life: the service has not looked at the session
      boolean prolonged =
          reply.getOutcome() != AcquireOutcome.DENIED
              && reply.getOutcome() != AcquireOutcome.SESSION_EXPIRED;
      if (prolonged && session.prolongedBy(reply.getOwner(), pending.sentAt())) {
        safeAgain(session);
      }
      pending.answer().complete(reply);
    }
    if (reply.getOutcome() == AcquireOutcome.SESSION_EXPIRED) {
      expire(session, reply.getOwner());
    }
  }

  private void released(String id, boolean wasHeld) {
    CompletableFuture<Boolean> waiting = releases.remove(id);
    if (waiting != null) {
      callbacks.run(() -> waiting.complete(wasHeld));
    }
  }

  private static void safeAgain(PartitionSession session) {
    session.grants().forEach(Granted::changed);
  }

  private static void expire(@Nullable PartitionSession session, String owner) {
    if (session == null || !session.owner().equals(owner)) {
      return;
    }
    PartitionSession.Ended ended = session.end();
    ended.held().forEach(Granted::changed);
    ended
        .pending()
        .forEach(
            p ->
                p.answer()
                    .completeExceptionally(
                        new Acquisition.SessionEndedException(
                            "Session ended while waiting for " + p.keys())));
  }

  /** One key is gone, so the lease is: the keys that were granted with it are given back. */
  private void forced(@Nullable PartitionSession session, ForceReleased forced) {
    if (session == null) {
      return;
    }
    for (Granted grant : session.grants()) {
      if (grant.owner().equals(forced.getOwner()) && grant.number() == forced.getNumber()) {
        LOG.warn("Lock on '{}' was taken away by {}", forced.getKey(), forced.getBy());
        var unused = release(grant);
        grant.changed();
      }
    }
  }

  private void beat() {
    for (PartitionSession session : sessions.values()) {
      if (session.isInUse()) {
        synchronized (session.sending()) {
          Ticket beat = session.nextBeat();
          sender.send(
              new Outgoing(
                  session,
                  beat.owner(),
                  client,
                  new KeepAlive(beat.owner(), beat.number(), replyTo),
                  () -> session.beatAppended(beat.number()),
                  () -> {}));
        }
      }
    }
  }

  private void look() {
    for (PartitionSession session : sessions.values()) {
      if (session.fellIntoJeopardy()) {
        session.grants().forEach(Granted::changed);
      }
    }
  }

  @Override
  public PartitionSession session(int partition) {
    return sessions.computeIfAbsent(
        partition,
        p ->
            new PartitionSession(
                client, p, options.ttl().toMillis(), layout.getTickMillis(), System::nanoTime));
  }

  private static Layout layout(LockClientOptions options) {
    String topic = options.config().named(LockSchemas.COMMANDS);
    try (TopicAdmin admin = new TopicAdmin(options.config())) {
      Layout found = admin.layouts().get(topic);
      if (found == null) {
        throw new LockException(
            "Topic '" + topic + "' has no Layout yet: create it with TopicAdmin.create(plan)");
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
