package dev.lockstep.lock.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.SetLatch;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class LatchesTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");

  private final VirtualPartition log =
      new VirtualPartition(LockTopics.machine(CONFIG), 0, LockTopics.plan(CONFIG, 1, List.of()));

  private static <T> List<T> of(List<Effect> effects, Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  private LatchReply set(String id, long count) {
    return of(log.send(new SetLatch("l", count, id, "boss", Ask.REPLY)), LatchReply.class).get(0);
  }

  private List<Effect> count(String id) {
    return log.send(new CountDown("l", id, false, Ask.REPLY));
  }

  private static LatchReply answer(List<Effect> effects) {
    return of(effects, LatchReply.class).get(0);
  }

  @Test
  void lastCountLetsEverybodyThroughAndLeavesNoRow() {
    assertThat(set("s", 2).getAccepted()).isTrue();
    assertThat(log.send(Ask.of("a", 1, "l").shared().waiting(-1).now())).isEmpty();
    assertThat(log.send(Ask.of("b", 1, "l").shared().waiting(-1).now())).isEmpty();

    assertThat(answer(count("c1")).getCount()).isEqualTo(1);
    List<Effect> opened = count("c2");

    assertThat(answer(opened).getCount()).isZero();
    assertThat(of(opened, AcquireReply.class))
        .extracting(AcquireReply::getOutcome)
        .containsExactly(AcquireOutcome.GRANTED, AcquireOutcome.GRANTED);
    assertThat(answer(count("c3")).getAccepted()).isFalse();
    log.advance(Duration.ofMinutes(3));
    assertThat(log.machineRows()).isZero();
  }

  @Test
  void repeatsCountOnce() {
    set("s", 2);
    assertThat(set("s", 2).getAccepted()).isTrue();
    assertThat(set("other", 5).getAccepted()).isFalse();
    assertThat(answer(count("c1")).getCount()).isEqualTo(1);
    assertThat(answer(count("c1")).getCount()).isEqualTo(1);
    List<Effect> asked = log.send(new CountDown("l", "c9", true, Ask.REPLY));
    assertThat(answer(asked).getCount()).isEqualTo(1);
    assertThat(answer(count("c2")).getCount()).isZero();
  }

  /** A client that heard nothing sends again: it closed the latch for ever. */
  @Test
  void repeatsBehindTheOpeningChangeNothing() {
    set("s", 1);
    count("c1");

    assertThat(set("s", 1).getCount()).isZero();
    assertThat(answer(count("c1")).getAccepted()).isTrue();
    assertThat(set("t", 2).getCount()).isEqualTo(2);
    assertThat(answer(count("c1")).getCount()).isEqualTo(2);
  }

  @Test
  void closedLatchOutlivesEverybodyAndSaysWhoClosedIt() {
    set("s", 1);
    log.advance(Duration.ofHours(2));

    AcquireReply tried =
        of(log.send(Ask.of("a", 1, "l").shared().waiting(0).now()), AcquireReply.class).get(0);

    assertThat(tried.getOutcome()).isEqualTo(AcquireOutcome.TIMED_OUT);
    assertThat(tried.getHolder()).isEqualTo("boss");
  }

  @Test
  void forcedLatchIsOpenAndCanBeClosedAgain() {
    long token = set("s", 3).getToken();
    count("c1");

    log.send(new ForceRelease("l", token, Ask.order("ops@example", "party is gone")));

    assertThat(set("again", 1).getToken()).isGreaterThan(token);
    assertThat(answer(count("c1")).getCount()).as("a repeat of the first one").isEqualTo(1);
    assertThat(answer(count("c2")).getCount()).isZero();
    log.advance(Duration.ofMinutes(3));
    assertThat(log.machineRows()).isZero();
  }

  @Test
  void keyInUseIsNotClosedAndWrongCommandsAreRejected() {
    log.send(Ask.of("a", 1, "l").waiting(-1).now());
    assertThat(set("s", 1).getReason()).contains("in use as a lock");
    assertThat(answer(log.send(new SetLatch("m", 0L, "s", "", Ask.REPLY))).getReason())
        .contains("Count must be 1 to 10000, is 0");
    assertThat(answer(log.send(new SetLatch("", 1L, "s", "", Ask.REPLY))).getReason())
        .contains("1 to 256 characters");
    assertThat(of(log.send(new CountDown("l", "", false, Ask.REPLY)), Rejected.class)).hasSize(1);
  }

  @Test
  void latchGoesOverIntoTheNextEpoch() {
    set("s", 3);
    count("c1");
    VirtualPartition next =
        new VirtualPartition(
            LockTopics.machine(CONFIG),
            0,
            LockTopics.plan(CONFIG, 1, List.of()).withLimits(Map.of("lock.quiet.ms", 0L)),
            2);
    log.read(store -> new NextEpochs(store).records(log.elapsed()))
        .forEach(record -> next.send(record.value()));

    assertThat(answer(next.send(new CountDown("l", "c1", false, Ask.REPLY))).getCount())
        .as("a repeat")
        .isEqualTo(2);
    assertThat(answer(next.send(new CountDown("l", "c2", false, Ask.REPLY))).getCount())
        .isEqualTo(1);
  }
}
