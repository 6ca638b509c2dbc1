package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;

/**
 * How a lock client works. Immutable.
 *
 * @param config how to reach Kafka
 * @param ttl how long the service waits for a client that is silent, in elapsed log time; at least
 *     ten ticks of the lock topic. A dead holder is replaced after it
 * @param nesting what happens when a thread that holds locks waits for one that it should have
 *     taken before them
 * @param follower fold the lock partitions that it uses in this process, and learn of grants from
 *     the log itself: two hops instead of four. It costs memory for all locks of these partitions,
 *     and needs the right to read the lock commands and the service's changelog
 */
public record LockClientOptions(
    LockstepConfig config, Duration ttl, Nesting nesting, boolean follower) {

  /**
   * What happens when a thread that holds locks waits for a key that sorts before one of them. Two
   * threads that nest in different orders can wait for each other for ever; {@link
   * LockClient#locks} takes a set of keys without that danger.
   */
  public enum Nesting {
    /** Nothing. */
    ALLOWED,
    /** A warning is logged. */
    WARNED,
    /** {@link LockOrderException} is thrown, nothing is asked for. */
    REFUSED
  }

  /** Checks the bounds. */
  public LockClientOptions {
    if (ttl.toMillis() < 1_000 || ttl.toHours() >= 1) {
      throw new IllegalArgumentException("ttl must be 1 s to less than 1 h, is " + ttl);
    }
  }

  /**
   * Makes options with a time to live of 10 s, and a warning for locks that are nested out of
   * order.
   *
   * @param config how to reach Kafka
   * @return options
   */
  public static LockClientOptions of(LockstepConfig config) {
    return new LockClientOptions(config, Duration.ofSeconds(10), Nesting.WARNED, false);
  }

  /**
   * Returns a copy with another time to live.
   *
   * @param value 1 s to less than 1 h
   * @return changed copy
   */
  public LockClientOptions withTtl(Duration value) {
    return new LockClientOptions(config, value, nesting, follower);
  }

  /**
   * Returns a copy that treats locks that are nested out of order differently.
   *
   * @param value what happens
   * @return changed copy
   */
  public LockClientOptions withNesting(Nesting value) {
    return new LockClientOptions(config, ttl, value, follower);
  }

  /**
   * Returns a copy that learns of grants from the log itself.
   *
   * @return changed copy
   */
  public LockClientOptions withFollower() {
    return new LockClientOptions(config, ttl, nesting, true);
  }
}
