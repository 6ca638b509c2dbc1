package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockDeadlockException;
import dev.lockstep.lock.LockDeniedException;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.LockTimeoutException;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.GrantedPart;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * One call of acquire. Guarded by its own monitor.
 *
 * <p>One command asks for all keys. The service carries it from partition to partition, in
 * ascending order, so that there is no cycle of waiting; the last one answers, or the one where it
 * ends.
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

  private final Commands commands;
  private final List<Wanted> wanted;
  private final Terms terms;
  private final List<String> keys = new ArrayList<>();
  private final Duration wait;
  private final boolean awaited;
  private final long deadline;
  private final CompletableFuture<Lease> lease = new CompletableFuture<>();
  private List<Part> asked = List.of();
  private @Nullable Future<?> alarm;
  private boolean over;

  /**
   * @param awaited a thread waits for the future and nothing else hangs on it: it is completed at
   *     once, without the way over {@link Callbacks}
   */
  Acquisition(Commands commands, List<Wanted> wanted, Terms terms, Duration wait, boolean awaited) {
    this.commands = commands;
    this.wanted = wanted;
    this.terms = terms;
    wanted.forEach(part -> keys.addAll(part.keys()));
    this.wait = wait;
    this.awaited = awaited;
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
      begin();
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
    giveBack();
    commands.ended(this);
    if (awaited) {
      completion.run();
    } else {
      commands.callbacks().run(completion);
    }
  }

  private synchronized void begin() {
    if (over) {
      return;
    }
    PendingAcquire pending = new PendingAcquire(keys, System.nanoTime(), new CompletableFuture<>());
    List<Part> parts = commands.acquire(wanted, terms, leftMillis(), pending);
    asked = parts;
    var unused = pending.answer().whenComplete((reply, error) -> answered(parts, reply, error));
  }

  private synchronized void answered(
      List<Part> parts, @Nullable AcquireReply reply, @Nullable Throwable error) {
    for (Part part : parts) {
      // the answer came to one partition; the others wait for it no more
      var unused = part.session().answered(part.ticket().owner(), part.ticket().number());
    }
    if (over) {
      if (reply != null && reply.getOutcome() == AcquireOutcome.GRANTED) {
        // an Acquire that was sent again may stand behind the Cancel that was to end it
        parts.forEach(commands::cancel);
      }
      return;
    }
    if (reply == null) {
      if (error instanceof SessionEndedException) {
        beginAgain();
      } else {
        fail(error == null ? new IllegalStateException("No answer and no error") : error);
      }
      return;
    }
    switch (reply.getOutcome()) {
      case GRANTED -> granted(parts, reply);
      case SESSION_EXPIRED -> beginAgain();
      default -> {
        // the service gave back what it had granted elsewhere
        asked = List.of();
        fail(failure(reply));
      }
    }
  }

  private void granted(List<Part> parts, AcquireReply reply) {
    List<Granted> grants = new ArrayList<>();
    for (Part part : parts) {
      Granted grant = new Granted(part, token(part, reply));
      if (part.session().hold(grant)) {
        grants.add(grant);
      }
    }
    asked = List.of();
    if (grants.size() < parts.size()) {
      grants.forEach(commands::release);
      beginAgain();
      return;
    }
    GrantedLease done = GrantedLease.of(commands, grants, terms.mode());
    finish(
        () -> {
          if (!lease.complete(done)) {
            // a send may block, and this may be the thread that reads answers
            commands.callbacks().run(done::close);
          }
        });
  }

  private static long token(Part part, AcquireReply reply) {
    for (GrantedPart earlier : reply.getEarlier()) {
      if (earlier.getPartition() == part.partition()) {
        return earlier.getToken();
      }
    }
    return reply.getToken();
  }

  /** A session ended, and with it a part of what this call has or waits for. */
  private void beginAgain() {
    giveBack();
    if (wait.isZero() || System.nanoTime() < deadline) {
      // a try that does not wait has not been decided either
      var unused = commands.in(Duration.ofMillis(1), this::begin);
    } else {
      fail(
          new LockTimeoutException(
              "Locks on %s were not granted within %s: the session ended".formatted(keys, wait),
              "",
              0,
              -1));
    }
  }

  private void noAnswer() {
    fail(
        new LockException(
            "Locks on %s: the lock service has not answered within %s; does it run? (%s)"
                .formatted(keys, wait.plus(GRACE), commands.fault())));
  }

  /** A grant that crosses it is freed by it. */
  private void giveBack() {
    List<Part> all = asked;
    asked = List.of();
    all.forEach(commands::cancel);
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
              "%s were not granted within %s. %s".formatted(named, wait, reply.getReason()),
              reply.getHolder(),
              reply.getHolderToken(),
              reply.getAhead());
      case DEADLOCK -> new LockDeadlockException(named + ": " + reply.getReason());
      case DENIED ->
          new LockDeniedException(
              named + ": " + reply.getReason(), Duration.ofMillis(reply.getRetryAfterMillis()));
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
