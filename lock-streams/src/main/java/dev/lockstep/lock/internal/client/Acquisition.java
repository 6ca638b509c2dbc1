package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockDeniedException;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.LockTimeoutException;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One call of acquire: its keys, partition by partition in ascending order, so that there is no
 * cycle of waiting.
 *
 * <p>A session that ends meanwhile takes the place in the queue with it, and what was granted so
 * far on its partition. The call then begins again with what is left of its wait; the caller sees
 * neither. Its state is changed by one thread at a time: the caller's first, then the one that
 * hears replies.
 */
final class Acquisition {

  /** How long the service may be silent beyond the wait that was asked for. */
  static final Duration GRACE = Duration.ofSeconds(30);

  private final ClientCore core;
  private final List<Map.Entry<Integer, List<String>>> parts;
  private final List<String> keys = new ArrayList<>();
  private final Duration wait;
  private final long deadline;
  private final CompletableFuture<Lease> lease = new CompletableFuture<>();
  private List<Granted> granted = new ArrayList<>();

  Acquisition(ClientCore core, SortedMap<Integer, List<String>> parts, Duration wait) {
    this.core = core;
    this.parts = List.copyOf(parts.entrySet());
    parts.values().forEach(keys::addAll);
    this.wait = wait;
    this.deadline = System.nanoTime() + wait.toNanos();
  }

  CompletableFuture<Lease> start() {
    Future<?> alarm = core.in(wait.plus(GRACE), this::noAnswer);
    var unused = lease.whenComplete((result, error) -> alarm.cancel(false));
    next(0);
    return lease;
  }

  private void next(int index) {
    if (index == parts.size()) {
      if (granted.stream().anyMatch(grant -> grant.state() == Lease.State.LOST)) {
        beginAgain("a session ended before all keys were granted");
        return;
      }
      GrantedLease done = new GrantedLease(core, granted);
      if (!lease.complete(done)) {
        done.close();
      }
      return;
    }
    Map.Entry<Integer, List<String>> part = parts.get(index);
    PartitionSession session = core.session(part.getKey());
    PendingAcquire pending = new PendingAcquire(part.getValue(), new CompletableFuture<>());
    String owner;
    long number;
    synchronized (session) {
      // owner and number belong together: a session may end in between
      owner = session.owner();
      number = session.open(pending);
      core.sendAcquire(session, owner, number, part.getValue(), leftMillis());
    }
    lease.whenComplete((result, error) -> giveUp(session, owner, number, pending, error));
    pending
        .answer()
        .whenComplete(
            (reply, error) -> {
              if (error == null && reply.getOutcome() == AcquireOutcome.GRANTED) {
                take(new Granted(session, owner, number, reply.getToken(), part.getValue()), index);
              } else if (error instanceof SessionEndedException
                  || (error == null && reply.getOutcome() == AcquireOutcome.SESSION_EXPIRED)) {
                beginAgain("the session ended");
              } else {
                fail(error != null ? error : failure(reply));
              }
            });
  }

  private void take(Granted grant, int index) {
    grant.session().hold(grant.number(), grant);
    granted.add(grant);
    if (lease.isDone()) {
      releaseAll();
    } else {
      next(index + 1);
    }
  }

  private void beginAgain(String why) {
    releaseAll();
    if (lease.isDone()) {
      return;
    }
    if (wait.isZero() || System.nanoTime() < deadline) {
      // a try that does not wait has not been decided either
      var unused = core.in(Duration.ofMillis(1), () -> next(0));
    } else {
      fail(
          new LockTimeoutException(
              "Locks on %s were not granted within %s: %s".formatted(keys, wait, why)));
    }
  }

  private void giveUp(
      PartitionSession session,
      String owner,
      long number,
      PendingAcquire pending,
      @Nullable Throwable error) {
    boolean given = error instanceof CancellationException || error instanceof NoAnswerException;
    if (given && !pending.answer().isDone()) {
      core.sendCancel(session, owner, number, pending.keys());
    }
  }

  private void noAnswer() {
    lease.completeExceptionally(
        new NoAnswerException(
            "Locks on %s: the lock service has not answered within %s; does it run? (%s)"
                .formatted(keys, wait.plus(GRACE), core.fault())));
  }

  private void fail(Throwable error) {
    releaseAll();
    lease.completeExceptionally(error);
  }

  private void releaseAll() {
    List<Granted> all = granted;
    granted = new ArrayList<>();
    all.forEach(core::release);
  }

  private long leftMillis() {
    return wait.isZero()
        ? 0
        : Math.max(1, TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime()));
  }

  private LockException failure(AcquireReply reply) {
    return switch (reply.getOutcome()) {
      case TIMED_OUT ->
          new LockTimeoutException(
              "Locks on %s were not granted within %s: %s"
                  .formatted(keys, wait, reply.getReason()));
      case DENIED -> new LockDeniedException("Locks on %s: %s".formatted(keys, reply.getReason()));
      default -> new LockException("Locks on %s: %s".formatted(keys, reply.getReason()));
    };
  }

  /** The session of a pending acquire is over. */
  static final class SessionEndedException extends LockException {
    private static final long serialVersionUID = 1L;

    SessionEndedException(String message) {
      super(message);
    }
  }

  /** Nobody answers. */
  private static final class NoAnswerException extends LockException {
    private static final long serialVersionUID = 1L;

    NoAnswerException(String message) {
      super(message);
    }
  }
}
