package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.ReplayAudit;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.Rounds;
import java.nio.file.Path;
import java.sql.Connection;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LockClientIT {

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static LockWorld world;
  private static LockstepConfig config;

  @BeforeAll
  static void startService() {
    world = new LockWorld(directory);
    config = world.config();
  }

  @AfterAll
  static void stopService() {
    world.close();
  }

  private static LockClient client() {
    return world.client();
  }

  @Test
  void neverTwoHoldersAndTokensRise() throws Exception {
    AtomicInteger inside = new AtomicInteger();
    List<Long> tokens = new ArrayList<>();
    ExecutorService threads = Executors.newFixedThreadPool(12);
    try (LockClient one = client();
        LockClient two = client();
        LockClient three = client()) {
      List<Future<?>> running = new ArrayList<>();
      for (LockClient client : List.of(one, two, three)) {
        for (int i = 0; i < 4; i++) {
          running.add(
              threads.submit(
                  () -> {
                    for (int round = 0; round < 20; round++) {
                      try (Lease lease = client.lock("hot").acquire(WAIT)) {
                        assertThat(inside.incrementAndGet()).isEqualTo(1);
                        lease.ensureValid();
                        tokens.add(lease.token());
                        inside.decrementAndGet();
                      }
                    }
                    return null;
                  }));
        }
      }
      for (Future<?> future : running) {
        future.get(60, TimeUnit.SECONDS);
      }
    } finally {
      threads.shutdownNow();
    }
    assertThat(tokens).hasSize(240).isSorted().doesNotHaveDuplicates();
    ReplayAudit audit = new ReplayAudit(LockTopics.machine(config), config);
    await().atMost(WAIT).untilAsserted(() -> assertThat(audit.run().differences()).isEmpty());
  }

  @Test
  void setOverSeveralPartitionsIsAllOrNothing() throws Exception {
    List<String> set = List.of("s1", "s2", "s3", "s4", "s5", "s6");
    try (LockClient a = client();
        LockClient b = client()) {
      Lease first = a.locks(set).acquire(WAIT);
      assertThat(first.tokens()).containsOnlyKeys("s1", "s2", "s3", "s4", "s5", "s6");
      assertThat(b.lock("s4").tryAcquire()).isEmpty();
      assertThat(first.release().get(10, TimeUnit.SECONDS)).isTrue();

      try (Lease second = b.locks(set).acquire(WAIT)) {
        set.forEach(
            key -> assertThat(second.tokens().get(key)).isGreaterThan(first.tokens().get(key)));
      }
    }
  }

  @Test
  void timedOutAndCancelledWaitersLeaveTheQueue() throws Exception {
    try (LockClient a = client();
        LockClient b = client()) {
      Lease held = a.lock("busy").acquire(WAIT);

      assertThatThrownBy(() -> b.lock("busy").acquire(Duration.ofMillis(600)))
          .isInstanceOf(LockTimeoutException.class)
          .hasMessageContaining("[busy] were not granted within PT0.6S");
      CompletableFuture<Lease> given = b.lock("busy").acquireAsync(WAIT);
      given.cancel(false);
      CompletableFuture<Lease> third = a.lock("busy").acquireAsync(WAIT);
      held.close();

      assertThat(third.get(10, TimeUnit.SECONDS).state()).isEqualTo(Lease.State.SAFE);
    }
  }

  @Test
  void closedClientFreesWhatItHolds() throws Exception {
    LockClient a = client();
    Lease lease = a.lock("left").acquire(WAIT);
    a.close();

    assertThat(lease.state()).isEqualTo(Lease.State.LOST);
    assertThatThrownBy(lease::ensureValid).isInstanceOf(LockLostException.class);
    try (LockClient b = client();
        Lease next = b.lock("left").acquire(Duration.ofSeconds(2))) {
      assertThat(next.token()).isGreaterThan(lease.token());
    }
  }

  @Test
  void silentHolderIsInJeopardyAndItsWritesAreRefusedOnceAnotherWrote() throws Exception {
    try (PostgresServer postgres = PostgresServer.start(directory.resolve("pg-fence"))) {
      postgres.createDatabase("guarded");
      JdbcFence.migrate(postgres.dataSource("guarded"));
      BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
      try (LockClient a = client();
          Connection connection = postgres.dataSource("guarded").getConnection()) {
        Lease old = a.lock("guarded").acquire(WAIT);
        old.onChange(states::add);

        world.cluster().node(1).pause();
        Lease.State first = states.poll(15, TimeUnit.SECONDS);
        world.cluster().node(1).resume();
        assertThat(first).isEqualTo(Lease.State.JEOPARDY);
        // an outage of the only broker expires nobody: the same token is safe again
        assertThat(states.poll(15, TimeUnit.SECONDS)).isEqualTo(Lease.State.SAFE);
        JdbcFence.require(connection, old.tokens());

        old.close();
        try (LockClient b = client();
            Lease next = b.lock("guarded").acquire(WAIT)) {
          JdbcFence.require(connection, next.tokens());
          assertThatThrownBy(() -> JdbcFence.require(connection, old.tokens()))
              .isInstanceOf(StaleTokenException.class)
              .hasMessageContaining("1 of 1 keys were written under a higher token");
        }
      }
    }
  }

  @Test
  void eventsTellWhoHeldWhatInOrder() throws Exception {
    BlockingQueue<LockEvent> seen = new LinkedBlockingQueue<>();
    try (LockClient a = client();
        LockEvents events =
            LockEvents.subscribe(
                config,
                "it-events",
                Pattern.compile("event-.*"),
                EnumSet.allOf(LockEvent.Type.class),
                seen::add)) {
      Lease lease = a.lock("event-1").acquire(WAIT);
      assertThat(lease.release().get(10, TimeUnit.SECONDS)).isTrue();

      LockEvent granted = seen.poll(15, TimeUnit.SECONDS);
      LockEvent released = seen.poll(15, TimeUnit.SECONDS);
      assertThat(granted.type()).isEqualTo(LockEvent.Type.GRANTED);
      assertThat(released.type()).isEqualTo(LockEvent.Type.RELEASED);
      assertThat(Map.of(granted.token(), granted.owner()))
          .isEqualTo(Map.of(lease.token(), released.owner()));
      assertThat(events.fault()).isEmpty();
    }
  }

  /** Execution L6 of the kernel review: what was not handled comes again, with the same id. */
  @Test
  void eventsThatWereNotHandledComeAgainAfterARestart() throws Exception {
    List<LockEvent> first = new CopyOnWriteArrayList<>();
    Pattern keys = Pattern.compile("restart-.*");
    Set<LockEvent.Type> granted = EnumSet.of(LockEvent.Type.GRANTED);
    try (LockClient a = client()) {
      for (int i = 0; i < 10; i++) {
        a.lock("restart-" + i % 3).acquire(WAIT).release().get(10, TimeUnit.SECONDS);
      }
    }
    try (LockEvents events =
        LockEvents.subscribe(
            config,
            "it-restart",
            keys,
            granted,
            event -> {
              if (first.size() == 4) {
                throw new IllegalStateException("handler is broken");
              }
              first.add(event);
            })) {
      await()
          .atMost(WAIT)
          .untilAsserted(
              () ->
                  assertThat(events.fault())
                      .hasValueSatisfying(
                          fault -> assertThat(fault).contains("handler is broken")));
    }
    List<LockEvent> second = new CopyOnWriteArrayList<>();
    try (LockEvents events =
        LockEvents.subscribe(config, "it-restart", keys, granted, second::add)) {
      await()
          .atMost(WAIT)
          .untilAsserted(
              () -> {
                Set<String> ids = new HashSet<>();
                first.forEach(event -> ids.add(event.id()));
                second.forEach(event -> ids.add(event.id()));
                assertThat(ids).hasSize(10);
              });
      assertThat(events.fault()).isEmpty();
    }
    for (int i = 0; i < 3; i++) {
      String key = "restart-" + i;
      assertThat(Stream.concat(first.stream(), second.stream()).filter(e -> e.key().equals(key)))
          .extracting(LockEvent::token)
          .isSorted();
    }
  }

  /** Longer by -Psoak: half a minute. */
  @Test
  void outageLongerThanEverySessionExpiresNobody() throws Exception {
    Duration outage = Duration.ofSeconds(Rounds.isSoak() ? 30 : 6);
    BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
    try (LockClient a = client();
        LockClient b = client();
        LockInspector inspector = LockInspector.start(world.config())) {
      List<Lease> held = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        held.add(a.lock("outage-" + i).acquire(WAIT));
      }
      Lease lease = held.get(0);
      lease.onChange(states::add);
      List<CompletableFuture<Lease>> queue = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        queue.add(b.lock("outage-0").onBehalfOf("waiter " + i).acquireAsync(Duration.ofMinutes(3)));
      }
      await()
          .atMost(WAIT)
          .until(() -> inspector.lock("outage-0").orElseThrow().queue().size() == 5);
      List<LockStatus> before = inspector.locks("outage-", 100);

      world.cluster().node(1).kill();
      // sessions last 3 s
      await().pollDelay(outage).atMost(outage.plusSeconds(3)).until(() -> true);
      world.cluster().node(1).restart();
      world.cluster().awaitReady();

      assertThat(states.poll(5, TimeUnit.SECONDS)).isEqualTo(Lease.State.JEOPARDY);
      assertThat(states.poll(40, TimeUnit.SECONDS)).isEqualTo(Lease.State.SAFE);
      await()
          .atMost(WAIT)
          .ignoreExceptionsInstanceOf(LockException.class)
          .untilAsserted(
              () -> assertThat(inspector.locks("outage-", 100)).hasSize(20).isEqualTo(before));
      assertThat(queue).noneMatch(CompletableFuture::isDone);
      await().atMost(WAIT).until(() -> held.stream().allMatch(l -> l.state() == Lease.State.SAFE));
      long token = lease.token();
      held.forEach(Lease::close);
      for (CompletableFuture<Lease> waiter : queue) {
        Lease next = waiter.get(20, TimeUnit.SECONDS);
        assertThat(next.token()).isGreaterThan(token);
        token = next.token();
        next.close();
      }
    }
  }
}
