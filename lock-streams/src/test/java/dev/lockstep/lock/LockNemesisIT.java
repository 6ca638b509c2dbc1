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
import dev.lockstep.testkit.process.NetworkNamespace;
import dev.lockstep.testkit.process.NetworkNamespace.Cut;
import dev.lockstep.testkit.process.Rounds;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Two lock services, their twin and a broker are killed and paused, and the networks of a service
 * and of clients are cut, while clients lock all kinds of things. The checker then goes through the
 * whole log, and through what the clients believed.
 */
class LockNemesisIT {

  private static final int CLIENTS = 3;
  private static final int THREADS = 4;

  /** Clients in a process of their own. */
  private static final String OTHERS = "others";

  @TempDir Path directory;

  private final Map<String, ChildJvm> services = new ConcurrentHashMap<>();
  private final Map<String, NetworkNamespace> networks = new TreeMap<>();
  private final HeldIntervals held = new HeldIntervals(); // guarded by itself
  private final RandomLocking locking =
      new RandomLocking(
          (name, key, token, from, to) -> {
            synchronized (held) {
              held.held(name, key, token, from, to);
            }
          });

  @Test
  void invariantsHoldUnderKillsAndPauses() throws Exception {
    long seed = Long.getLong("lockstep.seed", 20261121L);
    Duration length = Rounds.isSoak() ? Duration.ofMinutes(10) : Duration.ofMinutes(2);
    networks(List.of("left", OTHERS));
    try (LockWorld world =
        networks.isEmpty()
            ? LockWorld.withoutService(directory)
            : LockWorld.reachable(directory, NetworkNamespace.hostAddress())) {
      start(world, "left");
      start(world, "right");
      start(world, "twin");
      startOthers(world, seed, length);
      Nemesis nemesis =
          Nemesis.start(
              seed,
              new Span(Duration.ofMillis(1_500), Duration.ofSeconds(4)),
              new Span(Duration.ofMillis(500), Duration.ofSeconds(4)),
              faults(world));
      try {
        work(world, seed, length);
        nemesis.close();
        othersEnd();
        check(world);
      } catch (Throwable e) {
        nemesis.history().forEach(System.out::println);
        Path history = Path.of("target", "nemesis-" + seed + ".history");
        world.keepHistory(history);
        System.out.println("All records: " + history.toAbsolutePath());
        throw e;
      } finally {
        services.values().forEach(ChildJvm::close);
        networks.values().forEach(NetworkNamespace::close);
      }
      System.out.printf(
          "%s: %d faults, %d leases, %d intervals, failed acquires %s%n",
          nemesis.history().get(0),
          nemesis.history().size() / 2,
          locking.granted(),
          held.size(),
          locking.failures());
    }
  }

  /** A service and a process of clients live in networks that can be cut. */
  private void networks(List<String> places) {
    for (int i = 0; i < places.size(); i++) {
      Optional<NetworkNamespace> made = NetworkNamespace.create(i + 1);
      if (made.isEmpty()) {
        System.out.println("No network is cut: namespaces need root and the 'ip' command");
        return;
      }
      networks.put(places.get(i), made.get());
    }
  }

  private ChildJvm child(LockWorld world, String place, Class<?> main, List<String> arguments) {
    NetworkNamespace network = networks.get(place);
    List<String> all = new ArrayList<>();
    all.add(
        network == null
            ? world.config().bootstrapServers()
            : world.cluster().outsideBootstrapServers());
    all.addAll(arguments);
    return ChildJvm.start(
        "locks-" + place,
        directory.resolve(place + ".log"),
        network == null ? List.of() : network.prefix(),
        List.of("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        main.getName(),
        all,
        Map.of());
  }

  private void start(LockWorld world, String place) {
    String state = directory.resolve("state-" + place).toString();
    services.put(place, child(world, place, LockServiceMain.class, List.of(state, place)));
  }

  private void startOthers(LockWorld world, long seed, Duration length) {
    List<String> arguments = List.of(Long.toString(seed), Long.toString(length.toMillis()));
    services.put(OTHERS, child(world, OTHERS, RandomLockingMain.class, arguments));
  }

  /** Takes up what the clients in the process of their own knew: the clock is one and the same. */
  private void othersEnd() throws IOException {
    ChildJvm others = Objects.requireNonNull(services.get(OTHERS));
    assertThat(others.awaitExit(Duration.ofMinutes(2))).isZero();
    int before = held.size();
    for (String line : Files.readAllLines(others.output())) {
      String[] words = line.split(" ");
      if (words[0].equals("held")) {
        held.held(
            words[1],
            words[2],
            Long.parseLong(words[3]),
            Long.parseLong(words[4]),
            Long.parseLong(words[5]));
      }
    }
    assertThat(held.size()).as("intervals of the other process").isGreaterThan(before + 20);
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
    networks.forEach(
        (place, network) -> {
          for (Cut cut : Cut.values()) {
            faults.add(
                new Fault("%s %s".formatted(place, cut), () -> network.cut(cut), network::heal));
          }
        });
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
                    locking.act(client, name, random);
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
    assertThat(locking.granted()).isGreaterThan(200);
  }
}
