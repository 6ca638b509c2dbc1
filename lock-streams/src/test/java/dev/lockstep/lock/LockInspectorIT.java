package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;
import static org.awaitility.Awaitility.await;

import dev.lockstep.lock.LockEvent.Mode;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What an inspector sees, and clients that follow the log themselves. */
class LockInspectorIT {

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static LockWorld world;
  private static LockClient client;
  private static LockInspector inspector;

  @BeforeAll
  static void start() {
    world = new LockWorld(directory);
    client = world.client();
    inspector = LockInspector.start(world.config());
  }

  @AfterAll
  static void stop() {
    inspector.close();
    client.close();
    world.close();
  }

  @Test
  void holdersAndQueueOfAKey() throws Exception {
    Lease held = client.lock("inspected").onBehalfOf("batch 7").acquire(WAIT);
    CompletableFuture<Lease> shared = client.lock("inspected").shared().acquireAsync(WAIT);
    CompletableFuture<Lease> urgent =
        client.lock("inspected").onBehalfOf("boss").withPriority(9).acquireAsync(WAIT);
    await().atMost(WAIT).until(() -> inspector.lock("inspected").orElseThrow().queue().size() == 2);

    LockStatus status = inspector.lock("inspected").orElseThrow();
    assertThat(status.holders())
        .singleElement()
        .satisfies(
            holder -> {
              assertThat(holder.onBehalfOf()).isEqualTo("batch 7");
              assertThat(holder.mode()).isEqualTo(Mode.EXCLUSIVE);
              assertThat(holder.token()).isEqualTo(held.token());
              assertThat(inspector.sessions("", 100)).contains(holder.session());
            });
    assertThat(status.waiting()).isEqualTo(2);
    assertThat(status.queue())
        .extracting(LockStatus.Waiter::priority, LockStatus.Waiter::mode)
        .containsExactly(tuple(9, Mode.EXCLUSIVE), tuple(0, Mode.SHARED));

    held.release().join();
    urgent.join().release().join();
    shared.join().release().join();
    // acknowledged before the question: seen without waiting
    assertThat(inspector.lock("inspected")).isEmpty();
  }

  @Test
  void keysByPrefixAndWithoutAnOwner() throws Exception {
    Lease first = client.lock("prefix-a").acquire(WAIT);
    Lease second = client.semaphore("prefix-b", 3).permits(2).acquire(WAIT);
    Lease other = client.lock("other").acquire(WAIT);

    assertThat(inspector.locks("prefix-", 10))
        .extracting(LockStatus::key)
        .containsExactly("prefix-a", "prefix-b");
    assertThat(inspector.locks("prefix-b", 10).get(0).holders().get(0).permits()).isEqualTo(2);
    assertThat(inspector.locks("prefix-", 1)).hasSize(1);
    assertThat(inspector.orphaned(session -> false, 100))
        .extracting(LockStatus::key)
        .contains("prefix-a", "prefix-b", "other");
    assertThat(inspector.orphaned(session -> true, 100)).isEmpty();
    for (Lease lease : List.of(first, second, other)) {
      lease.release().join();
    }
  }

  @Test
  void metersCountWhatHappened() throws Exception {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    try (LockClient metered = world.client()) {
      LockMetrics.of(metered, "service", "shop").bindTo(registry);
      Lease lease = metered.lock("metered").acquire(WAIT);
      assertThat(metered.lock("metered").tryAcquire()).isEmpty();
      CompletableFuture<Lease> waiting = metered.lock("metered").acquireAsync(WAIT);

      assertThat(counted(registry, "granted")).isEqualTo(1);
      assertThat(counted(registry, "timed_out")).isEqualTo(1);
      assertThat(registry.get("lockstep.lock.wait").functionTimer().count()).isEqualTo(1);
      assertThat(registry.get("lockstep.lock.held").gauge().value()).isEqualTo(1);
      assertThat(registry.get("lockstep.lock.waiting").gauge().value()).isEqualTo(1);

      lease.release().join();
      waiting.join();
      try (LockAdmin admin = LockAdmin.connect(world.config())) {
        admin.forceRelease("metered", waiting.join().token(), "tester", "metered");
      }
      await()
          .atMost(WAIT)
          .until(() -> registry.get("lockstep.lock.lost").functionCounter().count() == 1);
      assertThat(registry.get("lockstep.lock.held").gauge().value()).isZero();
    }
  }

  @Test
  void metersOfServiceAndInspector() throws Exception {
    SimpleMeterRegistry registry = new SimpleMeterRegistry();
    LockMetrics.of(world.service()).bindTo(registry);
    LockMetrics.of(inspector).bindTo(registry);
    try (LockClient metered = world.client()) {
      Lease lease = metered.lock("counted").acquire(WAIT);
      for (int i = 0; i < 3; i++) {
        var unused = metered.lock("counted").acquireAsync(WAIT);
      }

      await().atMost(WAIT).until(() -> gauge(registry, "queue.longest") == 3);
      assertThat(gauge(registry, "keys")).isPositive();
      assertThat(gauge(registry, "queued")).isGreaterThanOrEqualTo(3);
      // what a service counts may come later than what an inspector sees
      assertThat(gauge(registry, "sessions")).isPositive();
      await()
          .atMost(WAIT)
          .until(() -> registry.get("lockstep.lock.commands").functionCounter().count() >= 4);
      await()
          .atMost(WAIT)
          .until(() -> registry.get("lockstep.lock.effects").functionCounter().count() >= 2);
      await().atMost(WAIT).until(() -> gauge(registry, "express.lag") == 0);
      await()
          .atMost(WAIT)
          .until(() -> registry.get("lockstep.lock.commit").functionTimer().count() > 0);
      assertThat(
              registry.get("lockstep.lock.commit").functionTimer().totalTime(TimeUnit.MILLISECONDS))
          .isPositive();
      lease.close();
    }
  }

  private static double gauge(SimpleMeterRegistry registry, String name) {
    return registry.get("lockstep.lock." + name).gauge().value();
  }

  private static double counted(SimpleMeterRegistry registry, String outcome) {
    return registry
        .get("lockstep.lock.acquires")
        .tag("outcome", outcome)
        .tag("service", "shop")
        .functionCounter()
        .count();
  }

  @Test
  void clientWithItsOwnFollowerLocksAsOthersDo() throws Exception {
    try (LockClient following = world.clientWithFollower()) {
      for (int i = 0; i < 50; i++) {
        Lease mine = following.lock("both").acquire(WAIT);
        CompletableFuture<Lease> theirs = client.lock("both").acquireAsync(WAIT);
        assertThat(client.lock("both").tryAcquire()).isEqualTo(Optional.empty());
        assertThat(mine.release().join()).isTrue();
        Lease next = theirs.join();
        assertThat(next.token()).isGreaterThan(mine.token());
        assertThat(next.release().join()).isTrue();
      }
    }
    assertThat(world.check().violations()).isEmpty();
  }
}
