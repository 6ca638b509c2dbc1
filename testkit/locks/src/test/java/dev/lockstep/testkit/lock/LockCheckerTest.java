package dev.lockstep.testkit.lock;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SetLatch;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

/** Plants a violation of each kind. */
class LockCheckerTest {

  private static final ReplyTo REPLY = new ReplyTo("replies", 0, "c", false);
  private static final long EPOCH = 1L << 47;

  private final LockChecker checker = new LockChecker();
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private long offset;
  private long time = 1_000_000;
  private int index;

  private long append(Object command) {
    return append(command, new RecordHeaders());
  }

  private long append(Object command, RecordHeaders headers) {
    byte[] value = codec.encode(command);
    checker.command(
        new ConsumerRecord<>(
            LockSchemas.COMMANDS,
            0,
            ++offset,
            ++time,
            TimestampType.LOG_APPEND_TIME,
            0,
            value.length,
            new byte[0],
            value,
            headers,
            Optional.empty()));
    index = 0;
    return EPOCH | offset;
  }

  private void announce(Object effect) {
    checker.effect(0, offset, index++, effect, codec.encode(effect));
  }

  private long acquire(String owner, long number, LockMode mode, int priority, String... keys) {
    return append(
        new Acquire(
            owner,
            number,
            1L,
            5_000L,
            List.of(keys),
            mode,
            0,
            0,
            priority,
            -1L,
            0L,
            "",
            "",
            List.of(),
            List.of(),
            REPLY));
  }

  private long acquire(String owner, String... keys) {
    return acquire(owner, 1, LockMode.EXCLUSIVE, 0, keys);
  }

  private void granted(String owner, long token, String... keys) {
    for (String key : keys) {
      announce(new Granted(key, owner, 1L, token, LockMode.EXCLUSIVE, 0, 0, ""));
    }
    answered(owner, AcquireOutcome.GRANTED, token, keys);
  }

  private void answered(String owner, AcquireOutcome outcome, long token, String... keys) {
    announce(
        new AcquireReply(
            owner, 1L, outcome, token, 0, List.of(keys), List.of(), "", "", 0L, -1, 0L));
  }

  private void released(String owner, long token, String key, ReleaseCause cause) {
    announce(new Released(key, owner, 1L, token, cause, ""));
  }

  private long release(String owner, long token) {
    return append(new Release(owner, 9L, 1L, 1L, token, 0L, false, REPLY));
  }

  private List<String> violations() {
    return checker.check().violations();
  }

  @Test
  void findsNothingWhereAllIsWell() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    acquire("b", "k");
    long b = release("a", a);
    released("a", a, "k", ReleaseCause.RELEASED);
    granted("b", b, "k");

    assertThat(checker.check()).isEqualTo(new LockChecker.Result(List.of(), List.of(), 3, 2, 0));
  }

  @Test
  void findsALatchThatOpensTooEarlyOrTooLate() {
    long early = append(new SetLatch("l", 2L, "s1", "", REPLY));
    announce(new Granted("l", "latch l", 1L, early, LockMode.EXCLUSIVE, 0, 0, ""));
    append(new CountDown("l", "c1", false, REPLY));
    released("latch l", early, "l", ReleaseCause.RELEASED);
    long late = append(new SetLatch("l", 1L, "s2", "", REPLY));
    announce(new Granted("l", "latch l", 1L, late, LockMode.EXCLUSIVE, 0, 0, ""));
    append(new CountDown("l", "c2", true, REPLY));
    append(new CountDown("l", "c3", false, REPLY));

    assertThat(violations()).hasSize(2).allMatch(violation -> violation.contains("I15"));
  }

  @Test
  void latchThatOpensWithItsLastCountIsWell() {
    long set = append(new SetLatch("l", 2L, "s1", "", REPLY));
    announce(new Granted("l", "latch l", 1L, set, LockMode.EXCLUSIVE, 0, 0, ""));
    append(new CountDown("l", "c1", false, REPLY));
    append(new CountDown("l", "c1", false, REPLY));
    append(new CountDown("l", "c2", false, REPLY));
    released("latch l", set, "l", ReleaseCause.RELEASED);

    assertThat(violations()).isEmpty();
  }

  @Test
  void findsAGrantWhileAKeyIsKeptFree() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    append(new Release("a", 9L, 1L, 1L, a, 3_000L, false, REPLY));
    released("a", a, "k", ReleaseCause.RELEASED);
    time += 2_000;
    long b = acquire("b", "k");
    granted("b", b, "k");

    assertThat(violations()).singleElement().asString().contains("I9", "before it may be");
  }

  /** Effects are read behind the log, which goes on meanwhile: found by CI. */
  @Test
  void passesEffectsOfRecordsThatCameWhenTheLogHadBeenRead() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    offset++;
    index = 0;
    released("a", a, "k", ReleaseCause.EXPIRED);

    assertThat(violations()).isEmpty();
  }

  @Test
  void takesARepeatForWhatItIs() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    index = 0;
    granted("a", a, "k");

    assertThat(checker.check()).isEqualTo(new LockChecker.Result(List.of(), List.of(), 1, 1, 2));
  }

  /** Found by ten minutes of nemesis: it counted as a beat, which the service never saw. */
  @Test
  void aTravellingRequestThatComesAgainIsNoBeat() {
    RecordHeaders position = new RecordHeaders();
    position.add(
        LockstepHeaders.POSITION,
        new EffectPosition(LockSchemas.COMMANDS, 3, 1, 77, 0, null, time, 0)
            .format()
            .getBytes(StandardCharsets.UTF_8));
    Acquire travelling =
        new Acquire(
            "a",
            1L,
            1L,
            5_000L,
            List.of("k"),
            LockMode.EXCLUSIVE,
            0,
            0,
            0,
            -1L,
            0L,
            "",
            "",
            List.of(),
            List.of(),
            REPLY);
    long a = append(travelling, position);
    granted("a", a, "k");
    time += 3_000;
    append(travelling, position);
    time += 2_000;
    append(new KeepAlive("b", 1L, 5_000L, REPLY));
    released("a", a, "k", ReleaseCause.EXPIRED);

    assertThat(violations()).isEmpty();
  }

  @Test
  void findsAGrantThatWasMadeTwice() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    granted("a", a, "k");

    assertThat(violations()).anySatisfy(v -> assertThat(v).startsWith("I5").contains("twice"));
  }

  @Test
  void findsTwoHolders() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    granted("b", acquire("b", "k"), "k");

    assertThat(violations()).singleElement().asString().startsWith("I1: 'k' was granted");
  }

  @Test
  void findsATokenThatIsNotOfItsRecord() {
    acquire("a", "k");
    granted("a", EPOCH | 77, "k");

    assertThat(violations()).singleElement().asString().startsWith("I2: token");
  }

  @Test
  void findsATokenThatFalls() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    acquire("b", "k");
    release("a", a);
    released("a", a, "k", ReleaseCause.RELEASED);
    granted("b", a, "k");

    assertThat(violations()).anySatisfy(v -> assertThat(v).contains("behind " + a));
  }

  @Test
  void findsOneWhoPassedTheQueue() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    acquire("b", "k");
    acquire("c", "k");
    long token = release("a", a);
    released("a", a, "k", ReleaseCause.RELEASED);
    granted("c", token, "k");

    assertThat(violations()).singleElement().asString().startsWith("I4: 'k' was granted to");
  }

  @Test
  void findsAPriorityThatWasPassed() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    acquire("b", "k");
    acquire("c", 1, LockMode.EXCLUSIVE, 5, "k");
    long token = release("a", a);
    released("a", a, "k", ReleaseCause.RELEASED);
    granted("b", token, "k");

    assertThat(violations()).singleElement().asString().startsWith("I4");
  }

  @Test
  void findsARequestThatEndedTwice() {
    granted("a", acquire("a", "k"), "k");
    append(new KeepAlive("a", 1L, 5_000L, REPLY));
    answered("a", AcquireOutcome.TIMED_OUT, 0, "k");

    assertThat(violations()).singleElement().asString().startsWith("I5");
  }

  @Test
  void findsAnAnswerWithAnotherToken() {
    long a = acquire("a", "k");
    announce(new Granted("k", "a", 1L, a, LockMode.EXCLUSIVE, 0, 0, ""));
    answered("a", AcquireOutcome.GRANTED, a + 1, "k");

    assertThat(violations()).singleElement().asString().startsWith("I6");
  }

  @Test
  void findsAnExpiryOfOneWhoBeats() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    time += 2_000;
    append(new KeepAlive("a", 1L, 5_000L, REPLY));
    time += 4_000;
    append(new KeepAlive("b", 1L, 5_000L, REPLY));
    released("a", a, "k", ReleaseCause.EXPIRED);

    assertThat(violations())
        .singleElement()
        .asString()
        .startsWith("I7")
        .contains("which gives 5000");
  }

  @Test
  void findsAStaleReleaseThatFreed() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    release("a", a - 1);
    released("a", a, "k", ReleaseCause.RELEASED);

    assertThat(violations()).singleElement().asString().startsWith("I8");
  }

  @Test
  void findsAReleaseThatHandsOverToNobody() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    acquire("b", "k");
    release("a", a);
    released("a", a, "k", ReleaseCause.RELEASED);

    assertThat(violations()).singleElement().asString().startsWith("I9");
    assertThat(checker.check().open()).singleElement().asString().contains("waits for [k]");
  }

  @Test
  void findsTwoVersionsOfOneEffect() {
    long a = acquire("a", "k");
    granted("a", a, "k");
    index = 0;
    granted("a", a + 1, "k");

    assertThat(violations()).anySatisfy(v -> assertThat(v).startsWith("I10"));
  }

  @Test
  void findsASetThatIsGrantedInPart() {
    long a = acquire("a", "k", "l");
    announce(new Granted("k", "a", 1L, a, LockMode.EXCLUSIVE, 0, 0, ""));
    answered("a", AcquireOutcome.GRANTED, a, "k", "l");

    assertThat(violations()).singleElement().asString().startsWith("I13");
  }

  @Test
  void findsClientsThatBelievedTheSame() {
    HeldIntervals held = new HeldIntervals();
    held.held("a", "k", 1, 100, 200);
    held.held("b", "k", 2, 199, 300);
    held.held("c", "k", 2, 400, 500);

    assertThat(held.violations()).hasSize(2);
    assertThat(held.violations().get(0)).startsWith("I11: 'k' was SAFE with 'b' at 199");
    assertThat(held.violations().get(1)).startsWith("I2");
  }

  @Test
  void findsAGuardThatLetAStaleWritePass() {
    GuardedWrites writes = new GuardedWrites();
    writes.accepted("k", 5);
    writes.accepted("k", 5);
    writes.accepted("k", 4);

    assertThat(writes.violations()).singleElement().asString().startsWith("I3");
  }
}
