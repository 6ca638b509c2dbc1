package dev.lockstep.kernel.internal.streams;

import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * Slows down rebuilds that follow each other: a destination that refuses for good would otherwise
 * make Streams rebuild its tasks about once a second, without a word (decision 0003).
 *
 * <p>Wait before the n-th rebuild in a row: nothing for the first, then 0.5 s doubling to 8 s. A
 * quiet half minute forgets them. Thread-safe.
 */
final class Backoff {

  private static final long QUIET_NANOS = TimeUnit.SECONDS.toNanos(30);
  private static final long FIRST_MS = 500;
  private static final long MOST_MS = 8_000;

  private final Alarms alarms;
  private int failures;
  private long lastFailureAt;
  private String lastCause = "";

  Backoff(Alarms alarms) {
    this.alarms = alarms;
  }

  /** Told by a lane at its first failure; {@code cause} begins with the destination. */
  synchronized void onFailure(String cause) {
    if (System.nanoTime() - lastFailureAt > QUIET_NANOS) {
      failures = 0;
    }
    failures++;
    lastFailureAt = System.nanoTime();
    lastCause = cause;
    if (failures > 1) {
      alarms.raise(
          "effects",
          "%d times in a row effects could not be delivered, last to %s; input partitions that need it stand still until it takes them"
              .formatted(failures, lastCause));
    }
  }

  /** Waits as long as failures in a row ask for. */
  void beforeNewLane() {
    Duration wait = nextWait();
    if (wait.isZero()) {
      return;
    }
    try {
      TimeUnit.MILLISECONDS.sleep(wait.toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Called regularly: clears the alarm after a quiet half minute. */
  synchronized void forget() {
    if (failures > 0 && System.nanoTime() - lastFailureAt > QUIET_NANOS) {
      failures = 0;
      alarms.clear("effects");
    }
  }

  private synchronized Duration nextWait() {
    return failures < 2
        ? Duration.ZERO
        : Duration.ofMillis(Math.min(MOST_MS, FIRST_MS << Math.min(failures - 2, 10)));
  }
}
