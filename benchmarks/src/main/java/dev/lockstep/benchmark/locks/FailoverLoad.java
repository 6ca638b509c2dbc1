package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.locks.LockDriver.Held;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * One client per key, each acquiring it again some milliseconds after it gave it back, so that a
 * service that is away shows as acquires that take long and not as queues.
 */
final class FailoverLoad implements AutoCloseable {

  private static final long PAUSE_MS = 20;

  /** One acquire: when it was asked, and when it was granted; nanoseconds. */
  record Sample(long asked, long granted) {}

  private final LockDriver driver;
  private final List<Sample> samples = Collections.synchronizedList(new ArrayList<>());
  private final ScheduledExecutorService pauses = new ScheduledThreadPoolExecutor(1);
  private volatile boolean running = true;

  FailoverLoad(LockDriver driver, int keys) {
    this.driver = driver;
    for (int key = 0; key < keys; key++) {
      next(key);
    }
  }

  /** Returns the acquires that were asked within a time, in milliseconds, in ascending order. */
  List<Double> latencies(long from, long to) {
    synchronized (samples) {
      return samples.stream()
          .filter(sample -> sample.asked() >= from && sample.asked() < to)
          .map(sample -> (sample.granted() - sample.asked()) / 1e6)
          .sorted()
          .toList();
    }
  }

  private void next(int key) {
    if (!running) {
      return;
    }
    long asked = System.nanoTime();
    CompletableFuture<?> round;
    try {
      round =
          driver
              .acquire(key, "failover-" + key)
              .thenCompose(
                  held -> {
                    samples.add(new Sample(asked, System.nanoTime()));
                    return release(held);
                  });
    } catch (Exception e) {
      round = CompletableFuture.failedFuture(e);
    }
    var unused =
        round.whenComplete(
            (result, error) -> {
              if (running) {
                pauses.schedule(() -> next(key), PAUSE_MS, TimeUnit.MILLISECONDS);
              }
            });
  }

  private static CompletableFuture<?> release(Held held) {
    try {
      return held.release();
    } catch (Exception e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  @Override
  public void close() {
    running = false;
    pauses.shutdownNow();
  }
}
