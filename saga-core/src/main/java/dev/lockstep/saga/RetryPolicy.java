package dev.lockstep.saga;

import java.time.Duration;

/**
 * How often a step is tried and how long to pause in between. Pauses are elapsed log time.
 *
 * @param firstDelay pause before the second attempt, at least 1 ms
 * @param factor each further pause is this many times as long, at least 1
 * @param longestDelay no pause is longer
 * @param maxAttempts attempts, the first included; at least 1
 */
public record RetryPolicy(Duration firstDelay, int factor, Duration longestDelay, int maxAttempts) {

  /** Five attempts, 200 ms to 5 s apart. */
  public static final RetryPolicy DEFAULT = exponential(Duration.ofMillis(200), 5);

  /** Checks the bounds. */
  public RetryPolicy {
    if (firstDelay.toMillis() < 1
        || factor < 1
        || longestDelay.compareTo(firstDelay) < 0
        || maxAttempts < 1) {
      throw new IllegalArgumentException(
          "Retry policy needs a delay of at least 1 ms, a factor and attempts of at least 1, and a longest delay not below the first; has %s, %d, %s, %d"
              .formatted(firstDelay, factor, longestDelay, maxAttempts));
    }
  }

  /**
   * Doubles the pause each time, up to 5 s or 16 times the first.
   *
   * @param firstDelay pause before the second attempt
   * @param maxAttempts attempts, the first included
   * @return policy
   */
  public static RetryPolicy exponential(Duration firstDelay, int maxAttempts) {
    Duration longest = firstDelay.multipliedBy(16);
    Duration cap = Duration.ofSeconds(5);
    return new RetryPolicy(
        firstDelay,
        2,
        longest.compareTo(cap) < 0 || firstDelay.compareTo(cap) > 0 ? longest : cap,
        maxAttempts);
  }

  /**
   * Returns the pause after an attempt.
   *
   * @param attempt 1 for the first
   * @return milliseconds before the next
   */
  public long delayAfter(int attempt) {
    long delay = firstDelay.toMillis();
    for (int i = 1; i < attempt && delay < longestDelay.toMillis(); i++) {
      delay *= factor;
    }
    return Math.min(delay, longestDelay.toMillis());
  }
}
