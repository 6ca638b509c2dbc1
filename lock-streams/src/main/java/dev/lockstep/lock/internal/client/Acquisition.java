package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockDeniedException;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.LockTimeoutException;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One call of acquire: its keys, partition by partition in ascending order, so that there is no
 * cycle of waiting. Guarded by its own monitor.
 *
 * <p>A session that ends meanwhile takes the place in the queue with it, and what was granted so
 * far on its partition. The call then begins again with what is left of its wait; the caller sees
 * neither.
 *
 * <p>However the caller's future ends but by the lease (cancelled, timed out by its user, denied,
 * client closed), the place in the queue and everything granted so far are given back at once.
 */
final class Acquisition {

  /** How long the service may be silent beyond the wait that was asked for. */
  static final Duration GRACE = Duration.ofSeconds(30);

  /** The Acquire that is waited for. */
  private record Current(PartitionSession session, Ticket ticket, List<String> keys) {}

  private final Commands commands;
  private final List<Map.Entry<Integer, List<String>>> parts;
  private final List<String> keys = new ArrayList<>();
  private final Duration wait;
  private final long deadline;
  private final CompletableFuture<Lease> lease = new CompletableFuture<>();
  private List<Granted> granted = new ArrayList<>();
  private @Nullable Current current;
  private @Nullable Future<?> alarm;
  private boolean over;

  Acquisition(Commands commands, SortedMap<Integer, List<String>> parts, Duration wait) {
    this.commands = commands;
    this.parts = List.copyOf(parts.entrySet());
    parts.values().forEach(keys::addAll);
    this.wait = wait;
    this.deadline = System.nanoTime() + wait.toNanos();
  }

  CompletableFuture<Lease> start() {
    var unused =
        lease.whenComplete(
            (result, error) -> {
              if (error != null) {
                finish(() -> {});
              }
            });
    synchronized (this) {
      alarm = commands.in(wait.plus(GRACE), this::noAnswer);
      next(0);
    }
    return lease;
  }

  /** Ends the call with an error; nothing when it has ended. */
  void fail(Throwable error) {
    finish(() -> lease.completeExceptionally(error));
  }

  private synchronized void finish(Runnable completion) {
    if (over) {
      return;
    }
    over = true;
    if (alarm != null) {
      alarm.cancel(false);
    }
    Current asked = current;
    current = null;
    if (asked != null) {
      // a grant that crosses it is freed by it
      commands.sendCancel(asked.session(), asked.ticket(), asked.keys());
    }
    releaseAll();
    commands.ended(this);
    commands.callbacks().run(completion);
  }

  private synchronized void begin() {
    if (!over) {
      next(0);
    }
  }

  private void next(int index) {
    if (index == parts.size()) {
      if (granted.stream().anyMatch(grant -> grant.state() == Lease.State.LOST)) {
        beginAgain("a session ended before all keys were granted");
      } else {
        hand();
      }
      return;
    }
    List<String> wanted = parts.get(index).getValue();
    PartitionSession session = commands.session(parts.get(index).getKey());
    PendingAcquire pending =
        new PendingAcquire(wanted, System.nanoTime(), new CompletableFuture<>());
    Ticket ticket;
    synchronized (session.sending()) {
      ticket = session.open(pending);
      current = new Current(session, ticket, wanted);
      commands.sendAcquire(session, ticket, wanted, leftMillis());
    }
    var unused =
        pending
            .answer()
            .whenComplete((reply, error) -> answered(session, ticket, index, reply, error));
  }

  private synchronized void answered(
      PartitionSession session,
      Ticket ticket,
      int index,
      @Nullable AcquireReply reply,
      @Nullable Throwable error) {
    if (over) {
      if (reply != null && reply.getOutcome() == AcquireOutcome.GRANTED) {
        // an Acquire that was sent again may stand behind the Cancel that was to end it
        commands.sendCancel(session, ticket, parts.get(index).getValue());
      }
      return;
    }
    current = null;
    if (reply == null) {
      if (error instanceof SessionEndedException) {
        beginAgain("the session ended");
      } else {
        fail(error == null ? new IllegalStateException("No answer and no error") : error);
      }
      return;
    }
    switch (reply.getOutcome()) {
      case GRANTED -> {
        List<String> got = parts.get(index).getValue();
        Granted grant = new Granted(session, ticket, reply.getToken(), got);
        if (session.hold(grant)) {
          granted.add(grant);
          next(index + 1);
        } else {
          beginAgain("the session ended");
        }
      }
      case SESSION_EXPIRED -> beginAgain("the session ended");
      default -> fail(failure(reply));
    }
  }

  private void hand() {
    GrantedLease done = GrantedLease.of(commands, granted);
    granted = new ArrayList<>();
    finish(
        () -> {
          if (!lease.complete(done)) {
            done.close();
          }
        });
  }

  private void beginAgain(String why) {
    releaseAll();
    if (wait.isZero() || System.nanoTime() < deadline) {
      // a try that does not wait has not been decided either
      var unused = commands.in(Duration.ofMillis(1), this::begin);
    } else {
      fail(
          new LockTimeoutException(
              "Locks on %s were not granted within %s: %s".formatted(keys, wait, why)));
    }
  }

  private void noAnswer() {
    fail(
        new LockException(
            "Locks on %s: the lock service has not answered within %s; does it run? (%s)"
                .formatted(keys, wait.plus(GRACE), commands.fault())));
  }

  private void releaseAll() {
    List<Granted> all = granted;
    granted = new ArrayList<>();
    all.forEach(commands::release);
  }

  private long leftMillis() {
    return wait.isZero()
        ? 0
        : Math.max(1, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
  }

  private LockException failure(AcquireReply reply) {
    String named = "Locks on " + keys;
    return switch (reply.getOutcome()) {
      case TIMED_OUT ->
          new LockTimeoutException(
              "%s were not granted within %s: %s".formatted(named, wait, reply.getReason()));
      case DENIED -> new LockDeniedException(named + ": " + reply.getReason());
      default ->
          new LockException(
              "%s: the request was ended as %s: %s"
                  .formatted(named, reply.getOutcome(), reply.getReason()));
    };
  }

  /** The session of a pending acquire is over. */
  static final class SessionEndedException extends LockException {
    private static final long serialVersionUID = 1L;

    SessionEndedException(String message) {
      super(message);
    }
  }
}
