package dev.lockstep.lock.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.lock.LockStatus;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.AdoptedLease;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.SessionOk;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Holders under a topic epoch that follows another. */
class NextEpochsTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final InputPlan PLAN = LockTopics.plan(CONFIG, 1, List.of());

  private final VirtualPartition old = new VirtualPartition(LockTopics.machine(CONFIG), 0, PLAN, 1);

  private static VirtualPartition next(long quietMillis) {
    return new VirtualPartition(
        LockTopics.machine(CONFIG), 0, PLAN.withLimits(Map.of("lock.quiet.ms", quietMillis)), 2);
  }

  private VirtualPartition carriedOver() {
    VirtualPartition log = next(0);
    old.read(store -> new NextEpochs(store).records(old.elapsed()))
        .forEach(record -> assertThat(log.send(record.value())).isEmpty());
    return log;
  }

  private static <T> List<T> of(List<Effect> effects, Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  private static AcquireReply answer(List<Effect> effects) {
    return of(effects, AcquireReply.class).get(0);
  }

  private static List<LockStatus> locks(VirtualPartition log) {
    return log.read(store -> new LockReport(store).locks("", 100));
  }

  private static Acquire wait(String owner, long number, String... keys) {
    return Ask.of(owner, number, keys).waiting(-1).now();
  }

  @Test
  void holdersAndQueuesGoOnAsTheyWere() {
    old.send(wait("a", 1, "k", "l"));
    old.send(wait("b", 1, "k"));
    old.send(Ask.of("c", 1, "k").waiting(-1).priority(3).now());
    old.send(Ask.of("a", 2, "rw").shared().now());
    old.send(Ask.of("b", 2, "rw").shared().now());
    old.send(Ask.of("saga", 1, "s").ttl(0).now());
    old.send(Ask.of("saga2", 1, "s").ttl(0).waiting(-1).now());
    old.advance(Duration.ofSeconds(2));

    VirtualPartition log = carriedOver();

    assertThat(locks(log)).isEqualTo(locks(old)).hasSize(4);
    assertThat(log.<List<String>>read(store -> new LockReport(store).sessions("", 9)))
        .isEqualTo(old.<List<String>>read(store -> new LockReport(store).sessions("", 9)));
  }

  /** A saga's machine that died announces once more; its saga has long ended. */
  @Test
  void whatWasTakenFromOtherMachinesIsNotTakenAgain() {
    EffectPosition first = new EffectPosition("sagas", 3, 1, 70, 0, null, old.time(), 0);
    EffectPosition second = new EffectPosition("sagas", 3, 1, 80, 0, null, old.time(), 0);
    Acquire acquire = Ask.of("saga", 1, "k").ttl(0).waiting(-1).now();
    long token = answer(old.send(acquire, first)).getToken();
    old.send(new Release("saga", 2L, 1L, 1L, token, 0L, true, Ask.REPLY), second);

    VirtualPartition log = next(0);
    old.marks().forEach(log::send);

    assertThat(log.send(acquire, first)).isEmpty();
    assertThat(locks(log)).isEmpty();
    assertThat(of(old.send(new CarriedMark("sagas", 3, "1.0.0.0")), Rejected.class)).hasSize(1);
  }

  @Test
  void releaseUnderTheOldTokenFreesTheNextInTheQueue() {
    long token = answer(old.send(wait("a", 1, "k"))).getToken();
    old.send(wait("b", 1, "k"));
    old.send(Ask.of("c", 1, "k").waiting(-1).priority(3).now());

    VirtualPartition log = carriedOver();
    List<Effect> effects = log.send(new Release("a", 7L, 1L, 1L, token, 0L, false, Ask.REPLY));

    assertThat(of(effects, ReleaseReply.class).get(0).getReleased()).isTrue();
    assertThat(of(effects, Granted.class).get(0).getOwner()).isEqualTo("c");
    assertThat(of(effects, Granted.class).get(0).getToken()).isGreaterThan(token).isPositive();
  }

  @Test
  void sessionsLiveOnByTheirBeatsAndEndWithoutThem() {
    old.send(wait("a", 1, "k"));
    old.send(wait("b", 1, "l"));
    VirtualPartition log = carriedOver();

    for (long beat = 8; beat < 12; beat++) {
      List<Effect> beaten = log.send(new KeepAlive("a", beat, Ask.TTL, Ask.REPLY));
      assertThat(of(beaten, SessionOk.class)).hasSize(1);
      log.advance(Duration.ofSeconds(2));
    }

    assertThat(locks(log)).extracting(LockStatus::key).containsExactly("k");
  }

  @Test
  void keysThatWereTakenSinceDoNotGoOver() {
    long token = answer(old.send(wait("a", 1, "k", "l"))).getToken();
    old.send(new ForceRelease("k", token, Ask.order("ops@example", "stuck")));

    assertThat(locks(carriedOver())).extracting(LockStatus::key).containsExactly("l");
  }

  @Test
  void nobodyIsGrantedAnythingBeforeOldHoldersHadTheirTime() {
    VirtualPartition log = next(5_000);

    AcquireReply tried = answer(log.send(Ask.of("a", 1, "k").waiting(0).now()));
    assertThat(tried.getOutcome()).isEqualTo(AcquireOutcome.TIMED_OUT);
    assertThat(tried.getReason()).contains("kept free for another");
    assertThat(log.send(Ask.of("saga", 1, "k").ttl(0).waiting(-1).now())).isEmpty();
    assertThat(log.advance(Duration.ofMillis(4_700))).isEmpty();

    List<Effect> effects = log.advance(Duration.ofMillis(500));
    assertThat(answer(effects).getOutcome()).isEqualTo(AcquireOutcome.GRANTED);
    assertThat(of(log.send(wait("a", 2, "other")), Granted.class)).isEmpty();
    assertThat(of(log.send(wait("b", 1, "other")), Granted.class)).hasSize(1);
  }

  /** A topic that was deleted by mistake: nobody told the new one how long to wait. */
  @Test
  void withoutALimitTheLongestSessionIsWaitedFor() {
    VirtualPartition log = new VirtualPartition(LockTopics.machine(CONFIG), 0, PLAN, 2);
    log.send(Ask.of("saga", 1, "k").ttl(0).waiting(-1).now());

    assertThat(log.advance(Duration.ofMinutes(59))).isEmpty();
    assertThat(log.advance(Duration.ofMinutes(2))).isNotEmpty();
  }

  @Test
  void adoptionOfWhatIsNotOldOrInUseIsRejected() {
    VirtualPartition log = next(0);
    long token = answer(log.send(wait("a", 1, "k"))).getToken();
    long early = 1L << 47 | 7;

    assertThat(of(log.send(adopt("b", 1, token, "l")), Rejected.class)).hasSize(1);
    assertThat(of(log.send(adopt("b", 1, 0, "l")), Rejected.class)).hasSize(1);
    assertThat(of(log.send(adopt("b", 1, early, "k")), Rejected.class)).hasSize(1);
    assertThat(of(log.send(adopt("a", 1, early, "l")), Rejected.class)).hasSize(1);
    assertThat(log.send(adopt("b", 1, early, "l"))).isEmpty();
    assertThat(locks(log)).extracting(LockStatus::key).containsExactly("k", "l");
  }

  /** What was asked for under wider bounds is held, and stays so. */
  @Test
  void leasesGoOverThatWouldNotBeGrantedUnderTodaysBounds() {
    old.send(Ask.of("a", 1, "k", "l").now());
    old.send(Ask.of("b", 1, "rw").permits(3, 7).now());
    VirtualPartition log =
        new VirtualPartition(
            LockTopics.machine(CONFIG),
            0,
            PLAN.withLimits(
                Map.of(
                    "lock.quiet.ms", 0L, "lock.keys.per.request", 1L, "lock.ttl.max.ms", 2_000L)),
            2);

    old.read(store -> new NextEpochs(store).records(old.elapsed()))
        .forEach(record -> assertThat(log.send(record.value())).isEmpty());

    assertThat(locks(log)).isEqualTo(locks(old)).hasSize(3);
    assertThat(answer(log.send(Ask.of("a", 2, "m", "n").now())).getOutcome())
        .isEqualTo(AcquireOutcome.DENIED);
  }

  private static Adopt adopt(String owner, long number, long token, String key) {
    return new Adopt(
        owner,
        0L,
        1L,
        Ask.REPLY,
        new AdoptedLease(Ask.of(owner, number, key).ttl(0).now(), token, 0L, List.of()));
  }
}
