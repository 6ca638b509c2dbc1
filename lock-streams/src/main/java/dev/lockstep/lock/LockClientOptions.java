package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;

/**
 * How a lock client works. Immutable.
 *
 * @param config how to reach Kafka
 * @param ttl how long the service waits for a client that is silent, in elapsed log time; at least
 *     ten ticks of the lock topic. A dead holder is replaced after it
 */
public record LockClientOptions(LockstepConfig config, Duration ttl) {

  /** Checks the bounds. */
  public LockClientOptions {
    if (ttl.toMillis() < 1_000 || ttl.toHours() >= 1) {
      throw new IllegalArgumentException("ttl must be 1 s to less than 1 h, is " + ttl);
    }
  }

  /**
   * Makes options with a time to live of 10 s.
   *
   * @param config how to reach Kafka
   * @return options
   */
  public static LockClientOptions of(LockstepConfig config) {
    return new LockClientOptions(config, Duration.ofSeconds(10));
  }

  /**
   * Returns a copy with another time to live.
   *
   * @param value 1 s to less than 1 h
   * @return changed copy
   */
  public LockClientOptions withTtl(Duration value) {
    return new LockClientOptions(config, value);
  }
}
