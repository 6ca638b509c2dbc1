package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.lock.Lease.Revocation;
import dev.lockstep.testkit.lock.LockChecker;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every kind of lock against a real broker; the checker goes through the whole run at the end. */
@SuppressWarnings("LockNotBeforeTry") // what happens between is what is tested
class LockKindsIT {

  private static final Duration WAIT = Duration.ofSeconds(20);
  private static final Duration SHORT = Duration.ofMillis(400);

  @TempDir static Path directory;
  private static LockWorld world;
  private static LockClient a;
  private static LockClient b;

  @BeforeAll
  static void start() {
    world = new LockWorld(directory);
    a = world.client();
    b = world.client();
  }

  @AfterAll
  static void stopAndCheck() {
    try (LockWorld ends = world) {
      a.close();
      b.close();
      await()
          .atMost(WAIT)
          .untilAsserted(
              () -> {
                LockChecker.Result result = ends.check();
                assertThat(result.violations()).isEmpty();
                assertThat(result.open()).isEmpty();
                assertThat(result.grants()).isGreaterThan(20);
              });
    }
  }

  private static <T> T get(CompletableFuture<T> future) throws Exception {
    return future.get(20, TimeUnit.SECONDS);
  }

  @Test
  void sharedLeasesGoTogetherAndExclusiveOnesAlone() throws Exception {
    Lease one = a.lock("rw").shared().acquire(WAIT);
    Lease two = b.lock("rw").shared().acquire(WAIT);
    // of one client: commands of two come in any order
    CompletableFuture<Lease> writer = b.lock("rw").acquireAsync(WAIT);
    assertThat(b.lock("rw").shared().tryAcquire(SHORT)).as("passes no waiting writer").isEmpty();
    one.close();
    two.close();

    Lease alone = get(writer);
    assertThat(alone.token()).isGreaterThan(two.token());
    get(alone.downgrade());
    assertThat(alone.isShared()).isTrue();
    Lease beside = b.lock("rw").shared().acquire(WAIT);
    assertThatThrownBy(() -> get(alone.upgrade()))
        .isInstanceOf(ExecutionException.class)
        .hasRootCauseInstanceOf(LockDeniedException.class)
        .hasMessageContaining("shared with 1 more");
    assertThat(alone.isShared()).isTrue();
    assertThat(get(beside.release())).isTrue();

    long before = alone.token();
    get(alone.upgrade());
    assertThat(alone.token()).isGreaterThan(before);
    assertThat(b.lock("rw").shared().tryAcquire()).isEmpty();
    assertThat(get(alone.release())).isTrue();
  }

  /** The release names the token that the upgrade gives; the old one would free nobody. */
  @Test
  void releaseRightBehindAnUpgradeFreesTheLock() throws Exception {
    List<String> set = List.of("up1", "up2", "up3", "up4", "up5");
    for (int i = 0; i < 10; i++) {
      Lease lease = a.locks(set).shared().acquire(WAIT);
      CompletableFuture<Void> upgraded = lease.upgrade();
      CompletableFuture<Boolean> released = lease.release();
      get(upgraded);
      assertThat(get(released)).isTrue();
      b.locks(set).acquire(WAIT).close();
    }
  }

  @Test
  void semaphoreLimitsHolders() throws Exception {
    List<Lease> held = new ArrayList<>();
    for (int i = 0; i < 3; i++) {
      held.add((i % 2 == 0 ? a : b).semaphore("sem", 3).acquire(WAIT));
    }
    assertThat(a.semaphore("sem", 3).tryAcquire()).isEmpty();
    assertThatThrownBy(() -> b.semaphore("sem", 4).tryAcquire())
        .isInstanceOf(LockDeniedException.class)
        .hasMessageContaining("in use as a semaphore of 3 permits");
    CompletableFuture<Lease> two = b.semaphore("sem", 3).permits(2).acquireAsync(WAIT);
    held.get(0).close();
    held.get(1).close();

    assertThat(get(two).state()).isEqualTo(Lease.State.SAFE);
    get(two).close();
    held.get(2).close();
  }

  @Test
  void timeoutNamesTheHolder() throws Exception {
    try (Lease held = a.lock("named").onBehalfOf("nightly job").acquire(WAIT)) {
      assertThatThrownBy(() -> b.lock("named").acquire(SHORT))
          .isInstanceOfSatisfying(
              LockTimeoutException.class,
              e -> {
                assertThat(e.holder()).hasValue("nightly job");
                assertThat(e.holderToken()).isEqualTo(held.token());
                assertThat(e.ahead()).hasValue(0);
              });
    }
  }

  @Test
  void manySetsOverAllPartitionsNeverDeadlock() throws Exception {
    List<CompletableFuture<Void>> running = new ArrayList<>();
    for (int i = 0; i < 40; i++) {
      LockClient client = i % 2 == 0 ? a : b;
      List<String> set = List.of("m" + i % 7, "m" + (i * 3 + 1) % 7, "m" + (i * 5 + 2) % 7);
      running.add(
          client
              .locks(set)
              .withPriority(i % 3)
              .acquireAsync(Duration.ofMinutes(1))
              .thenCompose(
                  lease -> {
                    lease.ensureValid();
                    return lease.release().thenAccept(held -> assertThat(held).isTrue());
                  }));
    }
    for (CompletableFuture<Void> each : running) {
      each.get(60, TimeUnit.SECONDS);
    }
  }

  @Test
  void cancelledSetIsFreeEverywhere() throws Exception {
    List<String> set = List.of("c1", "c2", "c3", "c4", "c5");
    Lease blocker = a.lock("c4").acquire(WAIT);
    CompletableFuture<Lease> waiting = b.locks(set).acquireAsync(WAIT);
    assertThat(a.locks(set).tryAcquire()).isEmpty();
    waiting.cancel(false);
    blocker.close();

    try (Lease all = a.locks(set).acquire(WAIT)) {
      assertThat(all.tokens()).hasSize(5);
    }
  }

  @Test
  void revocationAsksThenTakes() throws Exception {
    BlockingQueue<Revocation> asked = new LinkedBlockingQueue<>();
    BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
    try (LockAdmin admin = LockAdmin.connect(world.config())) {
      Lease polite = a.lock("polite").acquire(WAIT);
      polite.onRevokeAsked(
          revocation -> {
            asked.add(revocation);
            polite.close();
          });
      admin.revoke("polite", polite.token(), "ops@example", "deploy", Duration.ofSeconds(30));
      try (Lease next = b.lock("polite").acquire(WAIT)) {
        assertThat(asked.poll())
            .isEqualTo(
                new Revocation(
                    "polite", "ops@example: deploy", Optional.of(Duration.ofSeconds(30))));
        next.ensureValid();
      }

      Lease stubborn = a.lock("stubborn").acquire(WAIT);
      stubborn.onChange(states::add);
      admin.revoke("stubborn", stubborn.token(), "ops@example", "stuck", Duration.ofSeconds(1));
      assertThat(states.poll(10, TimeUnit.SECONDS)).isEqualTo(Lease.State.LOST);
      b.lock("stubborn").acquire(WAIT).close();
    }
  }

  @Test
  void locksThatAreNestedOutOfOrderAreRefusedIfWanted() throws Exception {
    LockClientOptions strict =
        LockClientOptions.of(world.config())
            .withTtl(Duration.ofSeconds(3))
            .withNesting(LockClientOptions.Nesting.REFUSED);
    try (LockClient client = LockClient.connect(strict)) {
      Lease first = client.lock("order-b").acquire(WAIT);
      assertThatThrownBy(() -> client.lock("order-a").acquire(WAIT))
          .isInstanceOf(LockOrderException.class)
          .hasMessageContaining("holds 'order-b' and waits for 'order-a'");
      client.lock("order-a").tryAcquire().orElseThrow().close();
      client.lock("order-c").acquire(WAIT).close();
      first.close();
      client.lock("order-a").acquire(WAIT).close();
    }
  }

  @Test
  void viewIsReentrantUnderOneToken() throws Exception {
    ReentrantLockView view = a.lock("view").asLock();
    view.lock();
    long token = view.lease().token();
    assertThat(view.tryLock()).isTrue();
    view.lockInterruptibly();
    assertThat(view.holdCount()).isEqualTo(3);
    assertThat(view.lease().token()).isEqualTo(token);

    view.unlock();
    view.unlock();
    assertThat(b.lock("view").tryAcquire()).isEmpty();
    view.unlock();

    b.lock("view").acquire(WAIT).close();
    assertThatThrownBy(view::unlock)
        .isInstanceOf(IllegalMonitorStateException.class)
        .hasMessageContaining("does not hold the lock on [view]");
  }

  @Test
  void viewTellsThatTheLockWasLost() throws Exception {
    ReentrantLockView view = a.lock("lost").asLock();
    view.lock();
    Lease lease = view.lease();
    try (LockAdmin admin = LockAdmin.connect(world.config())) {
      admin.forceRelease("lost", lease.token(), "ops@example", "stuck");
    }
    await().atMost(WAIT).until(() -> lease.state() == Lease.State.LOST);

    assertThatThrownBy(view::lock).isInstanceOf(LockLostException.class);
    assertThatThrownBy(view::unlock)
        .isInstanceOf(LockLostException.class)
        .hasMessageContaining("lost before it was unlocked");
    assertThat(view.holdCount()).isZero();
  }
}
