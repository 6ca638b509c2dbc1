package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.ClientCore;
import dev.lockstep.lock.internal.client.Terms;
import dev.lockstep.schema.lock.LockMode;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;

/**
 * One lock, a set of them, or permits of a semaphore; from {@link LockClient}. Immutable: each
 * method that changes how it is asked for returns a copy. Thread-safe.
 */
public final class DistributedLock {

  private final ClientCore core;
  private final List<String> keys;
  private final Terms terms;

  DistributedLock(ClientCore core, List<String> keys, Terms terms) {
    this.core = core;
    this.keys = keys;
    this.terms = terms;
  }

  /**
   * Asks to share with others who share. Somebody who waits to be alone is not passed by.
   *
   * @return shared copy
   * @throws IllegalStateException for a semaphore
   */
  public DistributedLock shared() {
    if (terms.mode() == LockMode.PERMITS) {
      throw new IllegalStateException("A semaphore has permits; only a lock is shared: " + keys);
    }
    return with(terms.withMode(LockMode.SHARED));
  }

  /**
   * Asks for several permits of a semaphore together.
   *
   * @param permits 1 to its capacity
   * @return changed copy
   * @throws IllegalStateException for a lock
   */
  public DistributedLock permits(int permits) {
    if (terms.mode() != LockMode.PERMITS) {
      throw new IllegalStateException("Only a semaphore has permits, not a lock: " + keys);
    }
    if (permits < 1 || permits > terms.capacity()) {
      throw new IllegalArgumentException(
          "Permits must be 1 to the capacity %d, are %d".formatted(terms.capacity(), permits));
    }
    return with(terms.withPermits(permits, terms.capacity()));
  }

  /**
   * Asks before those of lower priority.
   *
   * @param priority 0 (default) to 9, higher first; equal ones in order of arrival
   * @return changed copy
   */
  public DistributedLock withPriority(int priority) {
    if (priority < 0 || priority > 9) {
      throw new IllegalArgumentException("Priority must be 0 to 9, is " + priority);
    }
    return with(terms.withPriority(priority));
  }

  /**
   * Keeps the lock free for a while when its holder dies or it is taken from it: time for what the
   * holder sent before to arrive, where tokens cannot be checked.
   *
   * @param delay 0 (default) to 1 min, elapsed log time
   * @return changed copy
   */
  public DistributedLock withLockDelay(Duration delay) {
    if (delay.isNegative() || delay.toMinutes() > 1) {
      throw new IllegalArgumentException("Lock-delay must be 0 to 1 min, is " + delay);
    }
    return with(terms.withDelay(delay));
  }

  /**
   * Says whom the lock is for: shown to those who wait, and in events.
   *
   * @param name as people know it, up to 256 characters
   * @return changed copy
   */
  public DistributedLock onBehalfOf(String name) {
    if (name.length() > 256) {
      throw new IllegalArgumentException("Name has up to 256 characters, not " + name.length());
    }
    return with(terms.withOnBehalfOf(name));
  }

  /**
   * Says what asks for one lock after the other, so that {@link DeadlockDetector} sees who waits
   * for whom. Calls that block name their thread by themselves; others name nothing.
   *
   * @param name unique in this client, up to 256 characters
   * @return changed copy
   */
  public DistributedLock inTask(String name) {
    if (name.isEmpty() || name.length() > 256) {
      throw new IllegalArgumentException("Task has 1 to 256 characters, not " + name.length());
    }
    return with(terms.withTask(name));
  }

  /**
   * Acquires, waiting in the queue.
   *
   * @param wait longest wait, elapsed log time
   * @return the lease
   * @throws LockTimeoutException when it was not granted in time
   * @throws LockDeniedException when the service refuses the request
   * @throws LockDeadlockException when it was found to wait in a circle, and chosen to give up
   * @throws LockOrderException when the calling thread holds a lock that sorts behind, and the
   *     client refuses that ({@link LockClientOptions.Nesting})
   * @throws LockException when the service does not answer, or the client was closed
   * @throws InterruptedException when interrupted; the place in the queue is given up
   */
  public Lease acquire(Duration wait) throws InterruptedException {
    return core.acquireNow(keys, terms, wait);
  }

  /**
   * Acquires if it is free.
   *
   * @return the lease, or empty
   * @throws LockException when the service refuses or does not answer
   * @throws InterruptedException when interrupted
   */
  public Optional<Lease> tryAcquire() throws InterruptedException {
    return tryAcquire(Duration.ZERO);
  }

  /**
   * Acquires, waiting in the queue.
   *
   * @param wait longest wait, elapsed log time
   * @return the lease, or empty when it was not granted in time
   * @throws LockException when the service refuses or does not answer
   * @throws InterruptedException when interrupted; the place in the queue is given up
   */
  public Optional<Lease> tryAcquire(Duration wait) throws InterruptedException {
    try {
      return Optional.of(acquire(wait));
    } catch (LockTimeoutException e) {
      return Optional.empty();
    }
  }

  /** Acquires if it is free, in the name of no thread: it may be given back by any. */
  Optional<Lease> tryAcquireDetached() throws InterruptedException {
    try {
      return Optional.of(core.acquireDetached(keys, terms, Duration.ZERO));
    } catch (LockTimeoutException e) {
      return Optional.empty();
    }
  }

  /**
   * Acquires without blocking the caller.
   *
   * @param wait longest wait, elapsed log time; zero: only if it is free
   * @return completes with the lease or as {@link #acquire} throws, on a thread of its own where
   *     what hangs on it may block; cancelling it, or ending it by a time-out, gives up the place
   *     in the queue and what was granted so far
   */
  public CompletableFuture<Lease> acquireAsync(Duration wait) {
    return core.acquire(keys, terms, wait);
  }

  /**
   * Views it as a lock of the JDK: re-entrant by thread, under one lease.
   *
   * @return a view with its own count; keep it, two views of one lock exclude each other
   */
  public ReentrantLockView asLock() {
    return new ReentrantLockView(this);
  }

  /**
   * Returns what is locked.
   *
   * @return lock keys, sorted
   */
  public List<String> keys() {
    return keys;
  }

  private DistributedLock with(Terms changed) {
    return new DistributedLock(core, keys, changed);
  }
}
