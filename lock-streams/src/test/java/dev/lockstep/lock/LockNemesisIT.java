package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.ReplayAudit;
import dev.lockstep.testkit.lock.HeldIntervals;
import dev.lockstep.testkit.lock.LockChecker;
import dev.lockstep.testkit.process.ChildJvm;
import dev.lockstep.testkit.process.Nemesis;
import dev.lockstep.testkit.process.Nemesis.Fault;
import dev.lockstep.testkit.process.Nemesis.Span;
import dev.lockstep.testkit.process.Rounds;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two lock services, their twin and a broker are killed and paused while clients lock all kinds of
 * things. The checker then goes through the whole log, and through what the clients believed.
 */
class LockNemesisIT {

  private static final int CLIENTS = 3;
  private static final int THREADS = 4;

  @TempDir Path directory;

  private final Map<String, ChildJvm> services = new ConcurrentHashMap<>();
  private final HeldIntervals held = new HeldIntervals(); // guarded by itself
  private final AtomicInteger granted = new AtomicInteger();
  private final Map<String, Integer> failures = new TreeMap<>(); // guarded by itself

  @Test
  void invariantsHoldUnderKillsAndPauses() throws Exception {
    long seed = Long.getLong("lockstep.seed", 20261121L);
    Duration length = Rounds.isSoak() ? Duration.ofMinutes(10) : Duration.ofMinutes(2);
    try (LockWorld world = LockWorld.withoutService(directory)) {
      start(world, "left");
      start(world, "right");
      start(world, "twin");
      Nemesis nemesis =
          Nemesis.start(
              seed,
              new Span(Duration.ofMillis(1_500), Duration.ofSeconds(4)),
              new Span(Duration.ofMillis(500), Duration.ofSeconds(4)),
              faults(world));
      try {
        work(world, seed, length);
        nemesis.close();
        check(world);
      } catch (Throwable e) {
        nemesis.history().forEach(System.out::println);
        throw e;
      } finally {
        services.values().forEach(ChildJvm::close);
      }
      System.out.printf(
          "%s: %d leases, %d intervals, failed acquires %s%n",
          nemesis.history().get(0), granted.get(), held.size(), failures);
    }
  }

  private void start(LockWorld world, String place) {
    services.put(
        place,
        ChildJvm.start(
            "locks-" + place,
            directory.resolve(place + ".log"),
            List.of("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            LockServiceMain.class.getName(),
            List.of(
                world.config().bootstrapServers(),
                directory.resolve("state-" + place).toString(),
                place)));
  }

  private List<Fault> faults(LockWorld world) {
    List<Fault> faults = new ArrayList<>();
    for (String place : List.of("left", "right", "twin")) {
      faults.add(
          new Fault("kill " + place, () -> services.get(place).kill(), () -> start(world, place)));
      faults.add(
          new Fault(
              "pause " + place,
              () -> services.get(place).pause(),
              () -> services.get(place).resume()));
    }
    faults.add(
        new Fault(
            "pause broker",
            () -> world.cluster().node(1).pause(),
            () -> world.cluster().node(1).resume()));
    faults.add(
        new Fault(
            "kill broker",
            () -> world.cluster().node(1).kill(),
            () -> {
              world.cluster().node(1).restart();
              world.cluster().awaitReady();
            }));
    return faults;
  }

  private void work(LockWorld world, long seed, Duration length) throws Exception {
    long end = System.nanoTime() + length.toNanos();
    ExecutorService threads = Executors.newFixedThreadPool(CLIENTS * THREADS);
    List<LockClient> clients = new ArrayList<>();
    List<Future<?>> running = new ArrayList<>();
    for (int c = 0; c < CLIENTS; c++) {
      // one of them learns of grants from the log itself
      LockClient client = c == 0 ? world.clientWithFollower() : world.client();
      clients.add(client);
      for (int t = 0; t < THREADS; t++) {
        String name = "client-" + c + "-" + t;
        Random random = new Random(seed * 31 + c * 1_000L + t);
        running.add(
            threads.submit(
                () -> {
                  while (System.nanoTime() < end) {
                    act(client, name, random);
                  }
                  return null;
                }));
      }
    }
    for (Future<?> each : running) {
      each.get(length.toSeconds() + 120, TimeUnit.SECONDS);
    }
    clients.forEach(LockClient::close);
    threads.shutdown();
  }

  private void act(LockClient client, String name, Random random) throws InterruptedException {
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
    } catch (LockException e) {
      synchronized (failures) {
        failures.merge(e.getClass().getSimpleName(), 1, Integer::sum);
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
      synchronized (held) {
        lease.tokens().forEach((key, token) -> held.held(name, key, token, from, safeUntil));
      }
    }
  }

  private void check(LockWorld world) {
    ReplayAudit audit = new ReplayAudit(LockTopics.machine(world.config()), world.config());
    await()
        .atMost(Duration.ofSeconds(60))
        .untilAsserted(
            () -> {
              LockChecker.Result result = world.check();
              assertThat(result.violations()).isEmpty();
              assertThat(result.open()).isEmpty();
              assertThat(audit.run().differences()).isEmpty();
            });
    assertThat(held.violations()).isEmpty();
    assertThat(granted.get()).isGreaterThan(200);
  }
}
