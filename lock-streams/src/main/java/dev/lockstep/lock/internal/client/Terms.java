package dev.lockstep.lock.internal.client;

import dev.lockstep.schema.lock.LockMode;
import java.time.Duration;

/**
 * How keys are asked for.
 *
 * @param mode exclusive, shared, or by permits
 * @param permits of each key, with PERMITS; else 0
 * @param capacity permits that each key has in all, with PERMITS; else 0
 * @param priority 0 to 9, higher first
 * @param delay lock-delay
 * @param onBehalfOf whom the lock is for; empty: nobody said
 * @param task what asks one thing after the other; empty: not known
 */
public record Terms(
    LockMode mode,
    int permits,
    int capacity,
    int priority,
    Duration delay,
    String onBehalfOf,
    String task) {

  /** Exclusive, first come first served. */
  public static final Terms EXCLUSIVE =
      new Terms(LockMode.EXCLUSIVE, 0, 0, 0, Duration.ZERO, "", "");

  /** Returns a copy in another mode. */
  public Terms withMode(LockMode value) {
    return new Terms(value, permits, capacity, priority, delay, onBehalfOf, task);
  }

  /** Returns a copy that takes some of the permits of a semaphore. */
  public Terms withPermits(int some, int all) {
    return new Terms(LockMode.PERMITS, some, all, priority, delay, onBehalfOf, task);
  }

  /** Returns a copy with another priority. */
  public Terms withPriority(int value) {
    return new Terms(mode, permits, capacity, value, delay, onBehalfOf, task);
  }

  /** Returns a copy with another lock-delay. */
  public Terms withDelay(Duration value) {
    return new Terms(mode, permits, capacity, priority, value, onBehalfOf, task);
  }

  /** Returns a copy for somebody else. */
  public Terms withOnBehalfOf(String value) {
    return new Terms(mode, permits, capacity, priority, delay, value, task);
  }

  /** Returns a copy for another task. */
  public Terms withTask(String value) {
    return new Terms(mode, permits, capacity, priority, delay, onBehalfOf, value);
  }
}
