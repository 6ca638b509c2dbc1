package dev.lockstep.lock;

import java.time.Duration;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** What a thread of the nemesis does: locks all kinds of things, and notes what it knew it held. */
final class RandomLocking {

  /** From when to when a thread knew itself the only holder of a key; {@link System#nanoTime}. */
  @FunctionalInterface
  interface Intervals {

    void held(String name, String key, long token, long from, long to);
  }

  private final Intervals held;
  private final AtomicInteger granted = new AtomicInteger();
  private final Map<String, Integer> failures = new TreeMap<>(); // guarded by itself

  RandomLocking(Intervals held) {
    this.held = held;
  }

  int granted() {
    return granted.get();
  }

  /** Failed acquires by the type of their errors. */
  Map<String, Integer> failures() {
    synchronized (failures) {
      return new TreeMap<>(failures);
    }
  }

  void act(LockClient client, String name, Random random) throws Exception {
    try {
      if (random.nextInt(10) == 0) {
        count(client.latch("latch-" + random.nextInt(3)), name, random);
      } else {
        lock(client, name, random);
      }
    } catch (LockException e) {
      failed(e);
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof LockException)) {
        throw e;
      }
      failed(e.getCause());
    }
  }

  private void failed(Throwable error) {
    synchronized (failures) {
      failures.merge(error.getClass().getSimpleName(), 1, Integer::sum);
    }
  }

  /** Closes a latch, counts it down or waits for it; its answers come behind every fault. */
  private static void count(DistributedLatch latch, String name, Random random) throws Exception {
    switch (random.nextInt(5)) {
      case 0 -> {
        boolean closed = latch.close(1 + random.nextInt(3), name).get(90, TimeUnit.SECONDS);
        if (closed && random.nextBoolean()) {
          latch.await(Duration.ofSeconds(1));
        }
      }
      case 1 -> latch.await(Duration.ofSeconds(1));
      default -> {
        long left = latch.countDown().get(90, TimeUnit.SECONDS);
        if (left < 0) {
          throw new IllegalStateException("Latch has " + left + " left");
        }
      }
    }
  }

  private void lock(LockClient client, String name, Random random) throws Exception {
    boolean exclusive = random.nextInt(4) > 0;
    DistributedLock lock =
        switch (random.nextInt(10)) {
          case 0, 1 -> client.semaphore("sem-" + random.nextInt(2), 3);
          case 2, 3, 4 -> client.locks(set(random));
          default -> client.lock("hot-" + random.nextInt(4));
        };
    boolean semaphore = lock.keys().get(0).startsWith("sem");
    if (!semaphore && !exclusive) {
      lock = lock.shared();
    }
    if (random.nextInt(5) == 0) {
      lock = lock.withPriority(random.nextInt(10));
    }
    Duration wait = random.nextInt(4) == 0 ? Duration.ZERO : Duration.ofSeconds(5);
    try (Lease lease = lock.onBehalfOf(name).acquire(wait)) {
      hold(lease, name, exclusive && !semaphore, random);
      if (exclusive && !semaphore && random.nextInt(10) == 0) {
        var unused = lease.release(Duration.ofMillis(random.nextInt(300)));
      }
    }
  }

  private static Set<String> set(Random random) {
    Set<String> keys = new TreeSet<>();
    while (keys.size() < 3) {
      keys.add("hot-" + random.nextInt(6));
    }
    return keys;
  }

  /** Notes from when to when it knew itself the only holder. */
  private void hold(Lease lease, String name, boolean exclusive, Random random)
      throws InterruptedException {
    granted.incrementAndGet();
    long from = System.nanoTime();
    long until = from + TimeUnit.MILLISECONDS.toNanos(random.nextInt(random.nextInt(40) + 1));
    long to = 0;
    do {
      long now = System.nanoTime();
      if (lease.state() == Lease.State.SAFE) {
        to = now;
      }
      TimeUnit.MILLISECONDS.sleep(1);
    } while (System.nanoTime() < until);
    if (exclusive && to != 0) {
      long safeUntil = to;
      lease.tokens().forEach((key, token) -> held.held(name, key, token, from, safeUntil));
    }
  }
}
