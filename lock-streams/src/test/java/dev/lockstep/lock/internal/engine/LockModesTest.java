package dev.lockstep.lock.internal.engine;

import static dev.lockstep.lock.internal.engine.Ask.order;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.Downgraded;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.Revoke;
import dev.lockstep.schema.lock.RevokeAsked;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Shared locks, semaphores, priorities, lock-delay, changes of mode, revocation. */
class LockModesTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final InputPlan PLAN = LockTopics.plan(CONFIG, 1, List.of());

  private VirtualPartition log = new VirtualPartition(LockTopics.machine(CONFIG), 0, PLAN);

  private long granted(Ask ask) {
    AcquireReply reply = replies(log.send(ask.now())).get(0);
    assertThat(reply.getOutcome()).as(reply.getReason()).isEqualTo(AcquireOutcome.GRANTED);
    return reply.getToken();
  }

  private void waits(Ask ask) {
    assertThat(replies(log.send(ask.now()))).isEmpty();
  }

  private List<String> release(String owner, long acquire, long token) {
    return grantedTo(
        log.send(new Release(owner, acquire + 100, 1L, acquire, token, 0L, false, Ask.REPLY)));
  }

  private ModeReply change(String owner, LockMode mode) {
    return of(log.send(new ChangeMode(owner, 50L, 1L, 1L, mode, Ask.REPLY)), ModeReply.class)
        .get(0);
  }

  private static List<String> grantedTo(List<Effect> effects) {
    return of(effects, Granted.class).stream().map(Granted::getOwner).toList();
  }

  private static List<AcquireReply> replies(List<Effect> effects) {
    return of(effects, AcquireReply.class);
  }

  private static <T> List<T> of(List<Effect> effects, Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  @Test
  void releasedKeyMayBeKeptFreeForAWhile() {
    long a = granted(Ask.of("a", 1, "k"));
    log.send(new Release("a", 2L, 1L, 1L, a, 3_000L, true, Ask.REPLY));

    assertThat(grantedTo(log.send(Ask.of("b", 1, "k").waiting(-1).now()))).isEmpty();
    assertThat(grantedTo(log.advance(Duration.ofMillis(2_500)))).isEmpty();
    assertThat(grantedTo(log.advance(Duration.ofMillis(800)))).containsExactly("b");
  }

  @Test
  void sharedHoldersShareAndExcludeTheExclusive() {
    long a = granted(Ask.of("a", 1, "k").shared());
    long b = granted(Ask.of("b", 1, "k").shared());
    waits(Ask.of("x", 1, "k"));

    assertThat(release("a", 1, a)).isEmpty();
    assertThat(release("b", 1, b)).containsExactly("x");
  }

  /** Scenario 45: whoever waits to be alone is not passed by those who come later. */
  @Test
  void waitingExclusiveIsNotStarved() {
    long a = granted(Ask.of("a", 1, "k").shared());
    waits(Ask.of("x", 1, "k"));
    waits(Ask.of("b", 1, "k").shared());
    waits(Ask.of("c", 1, "k").shared());

    List<Effect> effects = log.send(new Release("a", 2L, 1L, 1L, a, 0L, false, Ask.REPLY));
    assertThat(grantedTo(effects)).containsExactly("x");
    long x = replies(effects).get(0).getToken();

    assertThat(release("x", 1, x)).containsExactly("b", "c");
  }

  @Test
  void exclusiveThatGivesUpLetsThoseBehindItShare() {
    granted(Ask.of("a", 1, "k").shared());
    waits(Ask.of("x", 1, "k"));
    waits(Ask.of("b", 1, "k").shared());

    assertThat(grantedTo(log.send(new Cancel("x", 2L, 1L, 1L)))).containsExactly("b");
  }

  @Test
  void semaphoreHasAsManyHoldersAsPermits() {
    long a = granted(Ask.of("a", 1, "s").permits(2, 3));
    granted(Ask.of("b", 1, "s").permits(1, 3));
    waits(Ask.of("c", 1, "s").permits(2, 3));
    waits(Ask.of("d", 1, "s").permits(1, 3));

    assertThat(release("a", 1, a)).containsExactly("c");
    assertThat(of(log.send(new CloseSession("b")), Granted.class))
        .extracting(Granted::getOwner, Granted::getPermits, Granted::getCapacity)
        .containsExactly(org.assertj.core.groups.Tuple.tuple("d", 1, 3));
  }

  /** Scenario 47: permits of a dead holder come back. */
  @Test
  void deadHoldersPermitsComeBack() {
    granted(Ask.of("a", 1, "s").permits(3, 3));
    waits(Ask.of("b", 1, "s").permits(2, 3).ttl(60_000));

    assertThat(grantedTo(log.advance(Duration.ofMillis(5_400)))).containsExactly("b");
    assertThat(log.effects(Released.class).get(0).getCause()).isEqualTo(ReleaseCause.EXPIRED);
  }

  @Test
  void keyIsOneKindOfThingAtATime() {
    granted(Ask.of("a", 1, "s").permits(1, 3));

    AcquireReply lock = replies(log.send(Ask.of("b", 1, "s").now())).get(0);
    AcquireReply other = replies(log.send(Ask.of("b", 2, "s").permits(1, 4).now())).get(0);

    assertThat(lock.getOutcome()).isEqualTo(AcquireOutcome.DENIED);
    assertThat(lock.getReason())
        .isEqualTo(
            "Key 's' is in use as a semaphore of 3 permits, and cannot be a lock at the same time");
    assertThat(other.getReason()).contains("cannot be a semaphore of 4 permits");
  }

  @Test
  void higherPriorityGoesFirstAndEqualOnesInOrder() {
    long h = granted(Ask.of("h", 1, "k"));
    waits(Ask.of("a", 1, "k"));
    waits(Ask.of("b", 1, "k").priority(5));
    waits(Ask.of("c", 1, "k").priority(5));
    waits(Ask.of("d", 1, "k").priority(9));

    List<Effect> effects = log.send(new Release("h", 2L, 1L, 1L, h, 0L, false, Ask.REPLY));
    for (String next : List.of("d", "b", "c", "a")) {
      assertThat(grantedTo(effects)).containsExactly(next);
      long token = replies(effects).get(0).getToken();
      effects = log.send(new Release(next, 2L, 1L, 1L, token, 0L, false, Ask.REPLY));
    }
  }

  /**
   * What is offered to a request that waits for other keys is no holding: if it were, a low one
   * that has k1 and a high one that has k2 would wait for each other for ever.
   */
  @Test
  void higherPriorityTakesOverWhatIsOnlyOffered() {
    long h = granted(Ask.of("h", 1, "k2"));
    waits(Ask.of("low", 1, "k1", "k2"));
    waits(Ask.of("high", 1, "k1", "k2").priority(3));

    List<Effect> effects = log.send(new Release("h", 2L, 1L, 1L, h, 0L, false, Ask.REPLY));
    assertThat(grantedTo(effects)).containsExactly("high", "high");
    long token = replies(effects).get(0).getToken();

    assertThat(release("high", 1, token)).containsExactly("low", "low");
  }

  @Test
  void lockDelayKeepsTheKeyFreeBehindADeadHolder() {
    granted(Ask.of("a", 1, "k").delay(3_000));
    waits(Ask.of("b", 1, "k").ttl(60_000));

    assertThat(grantedTo(log.advance(Duration.ofMillis(5_400)))).isEmpty();
    assertThat(log.effects(Released.class)).hasSize(1);
    AcquireReply tried = replies(log.send(Ask.of("c", 1, "k").waiting(0).now())).get(0);
    assertThat(tried.getReason()).contains("is kept free for another").contains("(lock-delay)");

    assertThat(grantedTo(log.advance(Duration.ofSeconds(3)))).containsExactly("b");
  }

  @Test
  void lockDelayDoesNotHoldUpAnOrderlyRelease() {
    long a = granted(Ask.of("a", 1, "k").delay(3_000));
    waits(Ask.of("b", 1, "k"));

    assertThat(release("a", 1, a)).containsExactly("b");
  }

  @Test
  void downgradeKeepsTheTokenAndLetsOthersShare() {
    long a = granted(Ask.of("a", 1, "k"));
    waits(Ask.of("b", 1, "k").shared());
    waits(Ask.of("x", 1, "k"));

    List<Effect> effects = log.send(new ChangeMode("a", 2L, 1L, 1L, LockMode.SHARED, Ask.REPLY));

    assertThat(of(effects, ModeReply.class).get(0).getToken()).isEqualTo(a);
    assertThat(of(effects, Downgraded.class).get(0).getToken()).isEqualTo(a);
    assertThat(grantedTo(effects)).containsExactly("b");
    long b = replies(effects).get(0).getToken();
    assertThat(b).isGreaterThan(a);
    assertThat(release("a", 1, a)).isEmpty();
    assertThat(release("b", 1, b)).containsExactly("x");
  }

  @Test
  void upgradeIsRefusedWhenItCouldDeadlock() {
    long a = granted(Ask.of("a", 1, "k").shared());
    granted(Ask.of("b", 1, "k").shared());

    ModeReply refused = change("a", LockMode.EXCLUSIVE);
    assertThat(refused.getToken()).isZero();
    assertThat(refused.getReason()).contains("'k' is shared with 1 more").contains("release it");

    log.send(new CloseSession("b"));
    waits(Ask.of("x", 1, "k"));
    long upgraded = change("a", LockMode.EXCLUSIVE).getToken();
    assertThat(upgraded).isGreaterThan(a);
    assertThat(change("a", LockMode.EXCLUSIVE).getToken()).as("asked again").isEqualTo(upgraded);
    assertThat(release("a", 1, a)).as("under its old token").isEmpty();
    assertThat(release("a", 1, upgraded)).containsExactly("x");
  }

  @Test
  void onlyLocksChangeTheirMode() {
    granted(Ask.of("a", 1, "s").permits(1, 2));

    assertThat(change("a", LockMode.SHARED).getReason()).contains("not a semaphore");
    assertThat(change("nobody", LockMode.SHARED).getReason()).contains("not held any more");
  }

  @Test
  void revocationAsksAndTakesAfterTheGrace() {
    long a = granted(Ask.of("a", 1, "k"));
    waits(Ask.of("b", 1, "k").ttl(60_000));

    List<Effect> asked = log.send(new Revoke("k", a, 2_000L, order("ops@example", "deploy")));
    assertThat(asked).extracting(Effect::key).containsExactly("k", "client");
    assertThat(of(asked, RevokeAsked.class).get(0).getBy()).isEqualTo("ops@example: deploy");
    assertThat(grantedTo(log.advance(Duration.ofMillis(1_500)))).isEmpty();

    List<Effect> taken = log.advance(Duration.ofMillis(800));
    assertThat(of(taken, ForceReleased.class)).hasSize(1);
    assertThat(grantedTo(taken)).containsExactly("b");
  }

  @Test
  void revocationOfALockThatIsGivenBackInTimeTakesNothing() {
    long a = granted(Ask.of("a", 1, "k").ttl(60_000));
    log.send(new Revoke("k", a, 2_000L, order("ops@example", "deploy")));
    release("a", 1, a);
    long again = granted(Ask.of("a", 2, "k").ttl(60_000));

    assertThat(of(log.advance(Duration.ofSeconds(3)), ForceReleased.class)).isEmpty();
    assertThat(release("a", 2, again)).isEmpty();
    assertThat(log.effects(Released.class))
        .extracting(Released::getCause)
        .containsExactly(ReleaseCause.RELEASED, ReleaseCause.RELEASED);
  }

  @Test
  void orderForWhatIsNotHeldIsRejectedWithItsReason() {
    List<Effect> effects = log.send(new Revoke("k", 17L, -1L, order("ops@example", "deploy")));

    assertThat(of(effects, Rejected.class).get(0).getReason())
        .isEqualTo("Key 'k' is not held under token 17");
  }

  @Test
  void fullQueueSaysWhenToTryAgain() {
    log =
        new VirtualPartition(
            LockTopics.machine(CONFIG), 0, PLAN.withLimits(Map.of("lock.queue.max", 1L)));
    granted(Ask.of("a", 1, "k"));
    waits(Ask.of("b", 1, "k"));

    AcquireReply denied = replies(log.send(Ask.of("c", 1, "k").now())).get(0);

    assertThat(denied.getOutcome()).isEqualTo(AcquireOutcome.DENIED);
    assertThat(denied.getRetryAfterMillis()).isEqualTo(1_000);
  }

  @Test
  void timeoutNamesTheHolderAndThePlaceInTheQueue() {
    long a = granted(Ask.of("a", 1, "k").ttl(60_000).onBehalfOf("nightly job"));
    waits(Ask.of("b", 1, "k").ttl(60_000));
    waits(Ask.of("c", 1, "k").ttl(60_000).waiting(1_000));

    AcquireReply late = replies(log.advance(Duration.ofMillis(1_200))).get(0);

    assertThat(late.getHolder()).isEqualTo("nightly job");
    assertThat(late.getHolderToken()).isEqualTo(a);
    assertThat(late.getAhead()).isEqualTo(1);
    assertThat(late.getReason())
        .isEqualTo(
            "Not granted within the wait: key 'k' is held by 'nightly job' under token %d, 1 wait before"
                .formatted(a));
  }

  /** Long work is cut by a count from the Layout, and goes on with the next record. */
  @Test
  void manyWhoMayShareAreGrantedBySeveralRecords() {
    log =
        new VirtualPartition(
            LockTopics.machine(CONFIG), 0, PLAN.withLimits(Map.of("lock.grants.per.record", 10L)));
    long x = granted(Ask.of("x", 1, "k"));
    for (int i = 0; i < 25; i++) {
      waits(Ask.of("s" + i, 1, "k").shared());
    }

    assertThat(release("x", 1, x)).hasSize(10);
    assertThat(grantedTo(log.advance(Duration.ofSeconds(1)))).hasSize(15);
  }

  @Test
  void whatMayNotBeIsDeniedWithItsReason() {
    assertThat(denied(Ask.of("a", 1, "k").permits(4, 3))).contains("they are 4 of 3");
    assertThat(denied(Ask.of("a", 1, "k").permits(0, 3))).contains("they are 0 of 3");
    assertThat(denied(Ask.of("a", 1, "k").priority(10))).contains("Priority must be 0 to 9");
    assertThat(denied(Ask.of("a", 1, "k").delay(60_001))).contains("Lock-delay must be 0 to");
    assertThat(denied(Ask.of("a", 1, "k").then(0, 1, "l"))).contains("Partitions must rise");
    assertThat(denied(Ask.of("a", 1, "k").ttl(0).then(1, 1, "l")))
        .contains("asks partition by partition");
  }

  private String denied(Ask ask) {
    AcquireReply reply = replies(log.send(ask.now())).get(0);
    assertThat(reply.getOutcome()).isEqualTo(AcquireOutcome.DENIED);
    return reply.getReason();
  }
}
