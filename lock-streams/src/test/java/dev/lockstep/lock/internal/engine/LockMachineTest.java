package dev.lockstep.lock.internal.engine;

import static dev.lockstep.lock.internal.engine.Ask.order;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class LockMachineTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final ReplyTo REPLY = Ask.REPLY;
  private static final long TTL = Ask.TTL;

  private final VirtualPartition log =
      new VirtualPartition(LockTopics.machine(CONFIG), 0, LockTopics.plan(CONFIG, 1, List.of()));

  private static Acquire acquire(String session, long number, long wait, String... keys) {
    return Ask.of(session, number, keys).waiting(wait).now();
  }

  private static Acquire lease(String saga, long number, String... keys) {
    return Ask.of(saga, number, keys).ttl(0).now();
  }

  private static Release release(String session, long acquire, long token) {
    return new Release(session, acquire + 1000, 1L, acquire, token, 0L, false, REPLY);
  }

  private static List<AcquireReply> replies(List<Effect> effects) {
    return of(effects, AcquireReply.class);
  }

  private static <T> List<T> of(List<Effect> effects, Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  private long grantTo(String session, String key) {
    return replies(log.send(acquire(session, 1, -1, key))).get(0).getToken();
  }

  @Test
  void grantsAFreeKeyWithTheOffsetAsToken() {
    long offset = log.nextOffset();

    List<Effect> effects = log.send(acquire("a", 1, -1, "k"));

    assertThat(replies(effects).get(0).getOutcome()).isEqualTo(AcquireOutcome.GRANTED);
    assertThat(replies(effects).get(0).getToken()).isEqualTo((1L << 47) | offset);
    assertThat(of(effects, Granted.class)).hasSize(1);
    assertThat(effects.get(effects.size() - 1).partition()).isEqualTo(2);
  }

  @Test
  void handsOverInOrderOfArrivalWithRisingTokens() {
    long first = grantTo("a", "k");
    assertThat(log.send(acquire("b", 1, -1, "k"))).isEmpty();
    assertThat(log.send(acquire("c", 1, -1, "k"))).isEmpty();

    List<Effect> toB = log.send(release("a", 1, first));
    long second = replies(toB).get(0).getToken();
    List<Effect> toC = log.send(release("b", 1, second));

    assertThat(replies(toB).get(0).getOwner()).isEqualTo("b");
    assertThat(replies(toC).get(0).getOwner()).isEqualTo("c");
    assertThat(replies(toC).get(0).getToken()).isGreaterThan(second);
    assertThat(second).isGreaterThan(first);
  }

  @Test
  void staleReleaseFreesNobody() {
    long first = grantTo("a", "k");
    log.send(release("a", 1, first));
    long second = grantTo("b", "k");

    List<Effect> effects = log.send(release("a", 1, first));

    assertThat(of(effects, Released.class)).isEmpty();
    assertThat(replies(log.send(acquire("c", 1, 0, "k"))).get(0).getReason())
        .contains("held by 'b' under token " + second);
  }

  @Test
  void repeatedAcquireIsAnsweredAgainAndGrantedOnce() {
    long token = grantTo("a", "k");

    List<Effect> again = log.send(acquire("a", 1, -1, "k"));

    assertThat(replies(again).get(0).getToken()).isEqualTo(token);
    assertThat(of(again, Granted.class)).isEmpty();
  }

  @Test
  void deadHolderIsReplacedAfterItsTtl() {
    grantTo("a", "k");
    log.send(acquire("b", 1, -1, "k"));
    for (int i = 0; i < 4; i++) {
      log.advance(Duration.ofSeconds(1));
      log.send(new KeepAlive("b", (long) i, TTL, REPLY));
    }
    assertThat(log.effects(SessionExpired.class)).isEmpty();

    List<Effect> effects = log.advance(Duration.ofMillis(1_200));

    assertThat(of(effects, SessionExpired.class)).hasSize(1);
    assertThat(of(effects, Released.class).get(0).getCause()).isEqualTo(ReleaseCause.EXPIRED);
    assertThat(replies(effects).get(0).getOwner()).isEqualTo("b");
  }

  @Test
  void waiterTimesOutOrIsGrantedNeverBoth() {
    long token = grantTo("a", "k");
    log.send(acquire("b", 1, 1_000, "k"));

    List<Effect> late = log.advance(Duration.ofMillis(1_200));
    List<Effect> released = log.send(release("a", 1, token));

    assertThat(replies(late).get(0).getOutcome()).isEqualTo(AcquireOutcome.TIMED_OUT);
    assertThat(replies(released)).isEmpty();
    assertThat(of(log.send(acquire("c", 1, 0, "k")), Granted.class)).hasSize(1);
  }

  /** Execution L1 of the kernel review. */
  @Test
  void twoDeadHoldersInOneTickGiveOneGrant() {
    grantTo("s1", "k");
    log.send(acquire("s2", 1, -1, "k"));
    log.send(Ask.of("s3", 1, "k").ttl(60_000).now());

    List<Effect> effects = log.advance(Duration.ofMillis(5_400));

    assertThat(of(effects, Granted.class)).hasSize(1);
    assertThat(of(effects, Granted.class).get(0).getOwner()).isEqualTo("s3");
    assertThat(of(effects, SessionExpired.class)).hasSize(2);
  }

  /** Execution L2 of the kernel review. */
  @Test
  void lateBatchDoesNotReviveASession() {
    grantTo("a", "k");
    log.advance(Duration.ofMillis(5_400));

    List<Effect> first = log.send(acquire("a", 1, -1, "k"));
    List<Effect> third = log.send(acquire("a", 3, -1, "k"));

    assertThat(replies(first).get(0).getOutcome()).isEqualTo(AcquireOutcome.SESSION_EXPIRED);
    assertThat(replies(third).get(0).getOutcome()).isEqualTo(AcquireOutcome.SESSION_EXPIRED);
    assertThat(of(first, Granted.class)).isEmpty();
  }

  /** Execution L2, second part: a lower number after a higher one is no repeat. */
  @Test
  void resentLowerNumberIsStillAnswered() {
    grantTo("a", "k");
    log.send(acquire("a", 8, -1, "eight"));

    List<Effect> seven = log.send(acquire("a", 7, -1, "seven"));

    assertThat(replies(seven).get(0).getOutcome()).isEqualTo(AcquireOutcome.GRANTED);
  }

  @Test
  void setOfKeysIsGrantedTogether() {
    long token = grantTo("a", "k2");
    assertThat(log.send(acquire("b", 1, -1, "k1", "k2", "k3"))).isEmpty();
    assertThat(log.send(acquire("c", 1, -1, "k3"))).isEmpty();

    List<Effect> effects = log.send(release("a", 1, token));

    assertThat(of(effects, Granted.class))
        .extracting(Granted::getKey)
        .containsExactly("k1", "k2", "k3");
    assertThat(replies(effects)).extracting(AcquireReply::getOwner).containsExactly("b");
  }

  @Test
  void cancelledSetFreesWhatItHadReserved() {
    grantTo("a", "k2");
    log.send(acquire("b", 1, -1, "k1", "k2"));
    log.send(acquire("c", 1, -1, "k1"));

    List<Effect> effects = log.send(new Cancel("b", 2L, 1L, 1L));

    assertThat(replies(effects))
        .extracting(AcquireReply::getOutcome)
        .containsExactly(AcquireOutcome.CANCELLED, AcquireOutcome.GRANTED);
  }

  @Test
  void cancelThatCrossesAGrantReleasesIt() {
    grantTo("a", "k");
    log.send(acquire("b", 1, -1, "k"));

    List<Effect> effects = log.send(new Cancel("a", 2L, 1L, 1L));

    assertThat(of(effects, Released.class).get(0).getCause()).isEqualTo(ReleaseCause.CANCELLED);
    assertThat(replies(effects).get(0).getOwner()).isEqualTo("b");
  }

  @Test
  void leaseOutlivesEverySessionAndLeavesNoRow() {
    AcquireReply lease = replies(log.send(lease("saga-1", 1, "k"))).get(0);
    log.advance(Duration.ofHours(1));
    assertThat(log.effects(Released.class)).isEmpty();

    log.send(release("saga-1", 1, lease.getToken()));

    assertThat(log.effects(Released.class)).hasSize(1);
    assertThat(log.machineRows()).isZero();
  }

  @Test
  void idleKeyLeavesNoRowOnceItsSessionIsForgotten() {
    long token = grantTo("a", "k");
    log.send(release("a", 1, token));
    log.send(new CloseSession("a"));

    log.advance(Duration.ofMinutes(3));

    assertThat(log.machineRows()).isZero();
  }

  @Test
  void keepAliveAnswersWithItsBeat() {
    grantTo("a", "k");

    assertThat(of(log.send(new KeepAlive("a", 7L, TTL, REPLY)), SessionOk.class).get(0).getBeat())
        .isEqualTo(7);
    assertThat(of(log.send(new KeepAlive("x", 2L, TTL, REPLY)), SessionExpired.class)).hasSize(1);
  }

  @Test
  void forcedReleaseNamesWhoOrderedIt() {
    long token = grantTo("a", "k");
    log.send(acquire("b", 1, -1, "k"));

    List<Effect> effects = log.send(new ForceRelease("k", token, order("ops@example", "stuck")));

    assertThat(of(effects, Released.class).get(0).getBy()).isEqualTo("ops@example: stuck");
    assertThat(replies(effects).get(0).getOwner()).isEqualTo("b");
    assertThat(of(log.send(release("a", 1, token)), Released.class)).isEmpty();
  }

  @Test
  void forcedReleaseTellsTheHolder() {
    long token = replies(log.send(acquire("a", 1, -1, "k", "l"))).get(0).getToken();

    List<Effect> effects = log.send(new ForceRelease("k", token, order("ops@example", "stuck")));

    assertThat(of(effects, ForceReleased.class))
        .containsExactly(new ForceReleased("a", 1L, 0, "k", token, "ops@example: stuck"));
    assertThat(of(log.send(release("a", 1, token)), Released.class))
        .extracting(Released::getKey)
        .containsExactly("l");
  }

  /** A client may send any numbers; none of them may keep the partition busy. */
  @Test
  void hugeNumbersCostNothing() {
    grantTo("a", "k");
    long huge = 1L << 52;

    log.send(Ask.of("a", huge, "l").lowestUnanswered(huge).now());
    log.send(new Release("a", 2L, Long.MAX_VALUE, 1L, 17L, 0L, false, REPLY));
    AcquireReply above = replies(log.send(Ask.of("b", 1, "m").lowestUnanswered(huge).now())).get(0);

    assertThat(above.getOutcome()).isEqualTo(AcquireOutcome.DENIED);
    assertThat(above.getReason())
        .isEqualTo("Lowest unanswered number is 4503599627370496, above this one, which is 1");
    log.send(new CloseSession("a"));
    log.advance(Duration.ofMinutes(5));
    assertThat(log.machineRows()).isZero();
  }

  /** The client relies on it: a refused command is no sign of life (PartitionSession). */
  @Test
  void deniedAcquireDoesNotProlongTheSession() {
    grantTo("a", "k");
    log.advance(Duration.ofMillis(TTL - 1_000));

    log.send(acquire("a", 2, -1, "z", "y"));

    assertThat(of(log.advance(Duration.ofSeconds(2)), Released.class))
        .extracting(Released::getCause)
        .containsExactly(ReleaseCause.EXPIRED);
  }

  @Test
  void unanswerableRequestIsRejectedAndThePartitionGoesOn() {
    Acquire lost =
        Ask.of("a", 1, "k").replyTo(new ReplyTo(LockSchemas.REPLIES, 999, "c", false)).now();

    List<Effect> effects = log.send(lost);

    assertThat(of(effects, Rejected.class).get(0).getReason())
        .isEqualTo(
            "Reply partition 999 of 'lockstep.lock.replies' does not exist: the Layout gives it 8");
    assertThat(grantTo("b", "k")).isPositive();
  }

  @Test
  void malformedRequestIsDeniedWithItsReason() {
    AcquireReply unsorted = replies(log.send(acquire("a", 1, -1, "b", "a"))).get(0);
    Acquire shortTtl = Ask.of("a", 1, "k").ttl(100).now();
    AcquireReply tooShort = replies(log.send(shortTtl)).get(0);

    assertThat(unsorted.getOutcome()).isEqualTo(AcquireOutcome.DENIED);
    assertThat(unsorted.getReason()).isEqualTo("Keys must be sorted and each named once");
    assertThat(tooShort.getReason()).contains("is 100 ms");
  }

  @Test
  void releaseIsAnsweredAlike() {
    long token = grantTo("a", "k");

    assertThat(of(log.send(release("a", 1, token)), ReleaseReply.class).get(0).getReleased())
        .isTrue();
    assertThat(of(log.send(release("a", 1, token)), ReleaseReply.class).get(0).getReleased())
        .isTrue();
    assertThat(of(log.send(release("a", 1, 17)), ReleaseReply.class).get(0).getReleased())
        .isFalse();
  }

  @Test
  void quietReleaseIsAnsweredOnlyWhenItFreesNobody() {
    long token = grantTo("a", "k");

    List<Effect> effects = log.send(new Release("a", 2L, 1L, 1L, token, 0L, true, REPLY));
    List<Effect> again = log.send(new Release("a", 2L, 1L, 1L, token, 0L, true, REPLY));
    List<Effect> stale = log.send(new Release("a", 3L, 1L, 1L, token - 1, 0L, true, REPLY));

    assertThat(of(effects, Released.class)).hasSize(1);
    assertThat(of(effects, ReleaseReply.class)).isEmpty();
    assertThat(again).as("a repeat of it").isEmpty();
    assertThat(of(stale, ReleaseReply.class))
        .singleElement()
        .satisfies(reply -> assertThat(reply.getReleased()).isFalse());
  }

  @Test
  void abortEndsWhoWaitsAndNobodyElse() {
    long token = grantTo("a", "k");
    log.send(acquire("b", 1, -1, "k"));

    assertThat(log.send(new AbortWait("a", 1L, order("detector", "circle")))).isEmpty();
    assertThat(log.send(new AbortWait("nobody", 1L, order("detector", "circle")))).isEmpty();
    AcquireReply ended =
        replies(log.send(new AbortWait("b", 1L, order("detector", "b waits for a")))).get(0);

    assertThat(ended.getOutcome()).isEqualTo(AcquireOutcome.DEADLOCK);
    assertThat(ended.getReason()).isEqualTo("b waits for a");
    assertThat(log.send(new AbortWait("b", 1L, order("detector", "again")))).isEmpty();
    assertThat(of(log.send(release("a", 1, token)), Released.class)).hasSize(1);
    assertThat(of(log.send(new AbortWait("b", 1L, order("detector", ""))), Rejected.class))
        .hasSize(1);
  }
}
