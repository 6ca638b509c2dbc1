package dev.lockstep.lock.internal.client;

import dev.lockstep.kernel.Follower;
import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClient;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.lock.LockDeniedException;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.LockLostException;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.lock.internal.client.CommandSender.Outgoing;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquirePart;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.ReplyTo;
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
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * Sends commands and keeps sessions alive; {@link Hearing} takes the answers. Thread-safe.
 *
 * <p>Order of monitors: an {@link Acquisition}, then the sending of a session, then the session. No
 * code of the user runs under any of them ({@link Callbacks}).
 */
public final class ClientCore implements Commands, AutoCloseable {

  private static final long LOOK_MS = 20;

  private final LockClientOptions options;
  private final String client = UUID.randomUUID().toString();
  private final Layout layout;
  private final ReplyTo replyTo;
  private final Map<Integer, PartitionSession> sessions = new ConcurrentHashMap<>();
  private final Set<Acquisition> acquisitions = ConcurrentHashMap.newKeySet();
  private final Tally tally = new Tally();
  private final AtomicLong sets = new AtomicLong();
  private final Callbacks callbacks = new Callbacks(this::flush);
  private final Questions questions = new Questions(callbacks);
  private final NestingCheck nesting;
  private final ScheduledExecutorService timer = Chores.scheduler("lock-client-timer");

  /** Of its own: a send may block for a while, and a lease must not look safe meanwhile. */
  private final ScheduledExecutorService watch = Chores.scheduler("lock-client-watch");

  private final Hearing hearing = new Hearing(sessions, questions, tally, this::release);
  private final CommandSender sender;
  private final ReplyReader reader;

  /** Sees answers one hop earlier than the reader; what both see is heard twice, as repeats are. */
  private volatile @Nullable Follower follower;

  private volatile boolean closing;

  public ClientCore(LockClientOptions options) {
    this.options = options;
    this.nesting = new NestingCheck(options.nesting());
    String replies = options.config().named(LockSchemas.REPLIES);
    this.layout = layout(options);
    this.replyTo =
        new ReplyTo(
            replies, Partitions.of(client, count(layout, replies)), client, options.follower());
    this.sender = new CommandSender(options, this::in, callbacks::isFollowed);
    this.reader = new ReplyReader(options, replyTo, hearing::heard, this::isFollowing);
    reader.start();
    this.follower =
        options.follower()
            ? Follower.start(
                LockTopics.machine(options.config()),
                options.config(),
                (partition, effect) -> reader.take(effect))
            : null;
    Chores.repeat(timer, Math.max(200, options.ttl().toMillis() / 4), this::beat);
    // a callback may wait for what it has sent itself; not on `watch`: this may block
    Chores.repeat(timer, LOOK_MS, sender::flush);
    Chores.repeat(watch, LOOK_MS, this::look);
  }

  /** Acquires keys, wherever they live. */
  public CompletableFuture<Lease> acquire(List<String> keys, Terms terms, Duration wait) {
    return acquire(keys, terms, wait, false);
  }

  private CompletableFuture<Lease> acquire(
      List<String> keys, Terms terms, Duration wait, boolean awaited) {
    TreeMap<Integer, List<String>> parts = new TreeMap<>();
    for (String key : keys) {
      parts
          .computeIfAbsent(Partitions.of(key, layout.getPartitions()), p -> new ArrayList<>())
          .add(key);
    }
    List<Wanted> wanted = new ArrayList<>();
    parts.forEach((partition, some) -> wanted.add(new Wanted(partition, some)));
    // its parts in several partitions are one task, so that a circle through them is found
    Terms named =
        wanted.size() > 1 && terms.task().isEmpty()
            ? terms.withTask("set " + sets.incrementAndGet())
            : terms;
    Acquisition acquisition = new Acquisition(this, wanted, named, wait, awaited);
    acquisitions.add(acquisition);
    long begun = System.nanoTime();
    CompletableFuture<Lease> lease = acquisition.start();
    var unused = lease.whenComplete((granted, error) -> tally.ended(begun, error));
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
  public List<Part> acquire(
      List<Wanted> wanted, Terms terms, long waitMillis, PendingAcquire pending) {
    List<Part> rest = new ArrayList<>();
    for (Wanted part : wanted.subList(1, wanted.size())) {
      rest.add(later(part, pending));
    }
    Wanted head = wanted.get(0);
    PartitionSession session = session(head.partition());
    synchronized (session.sending()) {
      Part first = new Part(session, session.open(pending), head.keys());
      sender.send(
          new Outgoing(
              session,
              first.ticket().owner(),
              first.keys().get(0),
              command(first, rest, terms, waitMillis)));
      List<Part> all = new ArrayList<>();
      all.add(first);
      all.addAll(rest);
      return all;
    }
  }

  /**
   * Opens what another partition will ask for in the name of this client. The session there is kept
   * alive from now on, and other commands may come before that one.
   */
  private Part later(Wanted wanted, PendingAcquire pending) {
    PartitionSession session = session(wanted.partition());
    synchronized (session.sending()) {
      Part part = new Part(session, session.open(pending), wanted.keys());
      if (part.ticket().number() == 1) {
        beat(session);
      }
      return part;
    }
  }

  private Acquire command(Part first, List<Part> rest, Terms terms, long waitMillis) {
    return new Acquire(
        first.ticket().owner(),
        first.ticket().number(),
        first.ticket().lowestUnanswered(),
        options.ttl().toMillis(),
        first.keys(),
        terms.mode(),
        terms.permits(),
        terms.capacity(),
        terms.priority(),
        waitMillis,
        terms.delay().toMillis(),
        terms.onBehalfOf(),
        terms.task(),
        rest.stream()
            .map(
                part ->
                    new AcquirePart(
                        part.partition(),
                        part.ticket().owner(),
                        part.ticket().number(),
                        part.ticket().lowestUnanswered(),
                        part.keys()))
            .toList(),
        List.of(),
        replyTo);
  }

  @Override
  public void cancel(Part part) {
    PartitionSession session = part.session();
    synchronized (session.sending()) {
      Ticket ticket = session.next(part.ticket().owner());
      if (ticket != null) {
        Cancel cancel =
            new Cancel(
                ticket.owner(), ticket.number(), ticket.lowestUnanswered(), part.ticket().number());
        sender.send(new Outgoing(session, ticket.owner(), part.keys().get(0), cancel));
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

  /** Acquires keys and waits for them; an interrupt gives up the place in the queue. */
  public Lease acquireNow(List<String> keys, Terms terms, Duration wait)
      throws InterruptedException {
    if (!wait.isZero()) {
      nesting.beforeWait(keys);
    }
    Terms named =
        terms.task().isEmpty() ? terms.withTask("thread " + Thread.currentThread().getId()) : terms;
    Lease lease = await(acquire(keys, named, wait, true), keys);
    nesting.got(lease);
    return lease;
  }

  /** Acquires keys for no thread in particular: whoever it is may end the lease. */
  public Lease acquireDetached(List<String> keys, Terms terms, Duration wait)
      throws InterruptedException {
    return await(acquire(keys, terms, wait, true), keys);
  }

  private static Lease await(CompletableFuture<Lease> lease, List<String> keys)
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
    synchronized (session.sending()) {
      if (session.drop(grant.owner(), grant.number()) == null) {
        return CompletableFuture.completedFuture(false);
      }
      AtomicBoolean repeated = new AtomicBoolean();
      return ask(
              grant,
              ticket ->
                  new Release(
                      ticket.owner(),
                      ticket.number(),
                      ticket.lowestUnanswered(),
                      grant.number(),
                      grant.token(),
                      grant.keepFreeMillis(),
                      true,
                      replyTo),
              ticket -> hearing.releaseAppended(session, ticket),
              repeated)
          .thenApply(
              reply ->
                  reply instanceof ReleaseReply known
                      // sent twice, the second frees nobody because the first has; unless the
                      // session has ended, of which the client hears before
                      && (known.getReleased()
                          || (repeated.get() && grant.owner().equals(session.owner()))));
    }
  }

  @Override
  public CompletableFuture<Long> change(Granted grant, boolean exclusive) {
    return ask(
            grant,
            ticket ->
                new ChangeMode(
                    ticket.owner(),
                    ticket.number(),
                    ticket.lowestUnanswered(),
                    grant.number(),
                    exclusive ? LockMode.EXCLUSIVE : LockMode.SHARED,
                    replyTo),
            ticket -> {},
            new AtomicBoolean())
        .thenApply(
            reply -> {
              if (!(reply instanceof ModeReply answer)) {
                throw new LockLostException("Lock on " + grant.keys() + " is over");
              }
              if (answer.getToken() == 0) {
                throw new LockDeniedException(answer.getReason(), Duration.ZERO);
              }
              return answer.getToken();
            });
  }

  /**
   * Sends a command about a grant; null when nobody will answer it.
   *
   * @param appended called when it stands in the log
   * @param repeated set when it was sent again
   */
  private CompletableFuture<@Nullable Object> ask(
      Granted grant,
      Function<Ticket, Object> command,
      Consumer<Ticket> appended,
      AtomicBoolean repeated) {
    PartitionSession session = grant.session();
    synchronized (session.sending()) {
      Ticket ticket = session.next(grant.owner());
      if (closing || ticket == null) {
        return CompletableFuture.completedFuture(null);
      }
      CompletableFuture<@Nullable Object> answer = questions.ask(ticket.owner(), ticket.number());
      sender.send(
          new Outgoing(
              session,
              ticket.owner(),
              grant.keys().get(0),
              command.apply(ticket),
              () -> appended.accept(ticket),
              () -> questions.answer(ticket.owner(), ticket.number(), null),
              repeated));
      return answer;
    }
  }

  /**
   * Sends a command about a latch, which belongs to no session.
   *
   * @param id of the command, unique; the answer names it
   */
  public CompletableFuture<LatchReply> latch(
      String key, String id, Function<ReplyTo, Object> command) {
    int partition = Partitions.of(key, layout.getPartitions());
    CompletableFuture<@Nullable Object> answer = questions.ask(id, 0);
    sendLatch(session(partition), key, id, command.apply(replyTo));
    if (closing) {
      // close() may have gone through the questions before this one was among them
      questions.answer(id, 0, null);
    }
    return answer.thenApply(
        reply -> {
          if (!(reply instanceof LatchReply known)) {
            throw closed();
          }
          return known;
        });
  }

  private void sendLatch(PartitionSession session, String key, String id, Object command) {
    Runnable again =
        () -> {
          if (closing) {
            questions.answer(id, 0, null);
          } else {
            // the session has ended, which is nothing to a latch
            sendLatch(session, key, id, command);
          }
        };
    sender.send(new Outgoing(session, session.owner(), key, command, () -> {}, again));
  }

  /** Returns what is being waited out. */
  @Override
  public @Nullable String fault() {
    String sending = sender.fault();
    return sending != null ? sending : reader.fault();
  }

  /** Returns what became of acquires and leases. */
  public LockClient.Stats stats() {
    int held = sessions.values().stream().mapToInt(session -> session.grants().size()).sum();
    return tally.read(held, acquisitions.size());
  }

  /** Tells whether it was closed. */
  public boolean isClosed() {
    return closing;
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
      Follower own = follower;
      if (own != null) {
        own.close();
      }
      reader.close();
      sender.close();
    } finally {
      // an interrupted caller, too, leaves nobody waiting
      questions.drop();
      callbacks.close();
    }
  }

  private static LockException closed() {
    return new LockException("Lock client was closed");
  }

  private void beat() {
    for (PartitionSession session : sessions.values()) {
      if (session.isInUse()) {
        synchronized (session.sending()) {
          beat(session);
        }
      }
    }
  }

  private void beat(PartitionSession session) {
    Ticket beat = session.nextBeat();
    sender.send(
        new Outgoing(
            session,
            beat.owner(),
            client,
            new KeepAlive(beat.owner(), beat.number(), options.ttl().toMillis(), replyTo),
            () -> session.beatAppended(beat.owner(), beat.number()),
            () -> {}));
  }

  /** Tells whether the follower sees all that this client may be answered. */
  private boolean isFollowing() {
    Follower own = follower;
    return own != null
        && own.progress().values().stream()
            .allMatch(progress -> progress.state() == Follower.State.FOLLOWING);
  }

  private void flush() {
    sender.flush();
  }

  private void look() {
    callbacks.look();
    for (PartitionSession session : sessions.values()) {
      if (session.fellIntoJeopardy()) {
        session.grants().forEach(Granted::changed);
      }
    }
  }

  private PartitionSession session(int partition) {
    return sessions.computeIfAbsent(
        partition,
        p -> {
          Follower own = follower;
          if (own != null) {
            own.follow(p);
          }
          return new PartitionSession(
              client, p, options.ttl().toMillis(), layout.getTickMillis(), System::nanoTime);
        });
  }

  private static Layout layout(LockClientOptions options) {
    Layout found = LockLayout.read(options.config());
    if (options.ttl().toMillis() < 10L * found.getTickMillis()) {
      throw new LockException(
          "ttl %s is below ten ticks of %d ms; make it longer"
              .formatted(options.ttl(), found.getTickMillis()));
    }
    return found;
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
