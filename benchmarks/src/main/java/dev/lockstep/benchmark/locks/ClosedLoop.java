package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.locks.LockDriver.Held;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.atomic.LongAdder;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.Recorder;
import org.jspecify.annotations.Nullable;

/**
 * Drives one workload against one driver for a while, and verifies that no two clients ever hold
 * the same key.
 */
final class ClosedLoop {

  private static final Duration LAST_ANSWERS = Duration.ofSeconds(60);

  /**
   * What came of it.
   *
   * @param grants locks that were granted within the measured time
   * @param seconds measured time
   * @param latency of an acquire, microseconds
   * @param errors acquires and releases that failed
   * @param overlaps times that a second holder was seen
   * @param firstError one of the errors
   */
  record Outcome(
      long grants,
      double seconds,
      Histogram latency,
      long errors,
      long overlaps,
      @Nullable Throwable firstError) {}

  private final Workload workload;
  private final LockDriver driver;
  private final String prefix;
  private final AtomicIntegerArray holders;
  private final Recorder latency = new Recorder(3);
  private final LongAdder grants = new LongAdder();
  private final LongAdder errors = new LongAdder();
  private final AtomicInteger overlaps = new AtomicInteger();
  private final AtomicReference<@Nullable Throwable> firstError = new AtomicReference<>();
  private final CountDownLatch ended;
  private volatile boolean running = true;

  ClosedLoop(Workload workload, LockDriver driver, String prefix) {
    this.workload = workload;
    this.driver = driver;
    this.prefix = prefix;
    this.holders = new AtomicIntegerArray(workload.keys());
    this.ended = new CountDownLatch(workload.clients());
  }

  Outcome run(Duration warmUp, Duration measured) throws InterruptedException {
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < workload.clients(); i++) {
      int client = i;
      if (driver.isAsync()) {
        step(client);
      } else {
        Thread thread = new Thread(() -> block(client), "client-" + client);
        threads.add(thread);
        thread.start();
      }
    }
    TimeUnit.NANOSECONDS.sleep(warmUp.toNanos());
    latency.reset();
    long grantsBefore = grants.sum();
    long begin = System.nanoTime();
    TimeUnit.NANOSECONDS.sleep(measured.toNanos());
    long granted = grants.sum() - grantsBefore;
    double seconds = (System.nanoTime() - begin) / 1e9;
    Histogram histogram = latency.getIntervalHistogram();
    running = false;
    if (!ended.await(LAST_ANSWERS.toMillis(), TimeUnit.MILLISECONDS)) {
      failed(
          new IllegalStateException(
              "%d clients had no answer within %s".formatted(ended.getCount(), LAST_ANSWERS)));
      threads.forEach(Thread::interrupt);
    }
    return new Outcome(granted, seconds, histogram, errors.sum(), overlaps.get(), firstError.get());
  }

  private void block(int client) {
    try {
      while (running) {
        int key = ThreadLocalRandom.current().nextInt(workload.keys());
        long asked = System.nanoTime();
        Held held = driver.acquire(client, prefix + key).join();
        granted(client, key, asked);
        released(key);
        var unused = held.release().join();
      }
    } catch (Exception e) {
      failed(e);
    } finally {
      ended.countDown();
    }
  }

  /** A loop, not a recursion, for as long as answers are there at once. */
  private void step(int client) {
    while (running) {
      int key = ThreadLocalRandom.current().nextInt(workload.keys());
      long asked = System.nanoTime();
      CompletableFuture<?> round;
      try {
        round =
            driver
                .acquire(client, prefix + key)
                .thenCompose(
                    held -> {
                      granted(client, key, asked);
                      released(key);
                      return release(held);
                    });
      } catch (Exception e) {
        round = CompletableFuture.failedFuture(e);
      }
      if (!round.isDone()) {
        var unused =
            round.whenComplete(
                (result, error) -> {
                  if (error != null) {
                    failed(error);
                  }
                  step(client);
                });
        return;
      }
      if (round.isCompletedExceptionally()) {
        failed(round.handle((result, error) -> error).join());
      }
    }
    ended.countDown();
  }

  private static CompletableFuture<?> release(Held held) {
    try {
      return held.release();
    } catch (Exception e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private void granted(int client, int key, long asked) {
    long nanos = System.nanoTime() - asked;
    if (!holders.compareAndSet(key, 0, client + 1)) {
      overlaps.incrementAndGet();
    }
    latency.recordValue(TimeUnit.NANOSECONDS.toMicros(nanos));
    grants.increment();
  }

  private void released(int key) {
    holders.set(key, 0);
  }

  private void failed(Throwable error) {
    errors.increment();
    firstError.compareAndSet(null, error);
  }
}
