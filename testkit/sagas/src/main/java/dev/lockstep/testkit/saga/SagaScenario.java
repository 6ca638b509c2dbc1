package dev.lockstep.testkit.saga;

import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.OperatorOrder;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.EndStatus;
import dev.lockstep.schema.saga.Operate;
import dev.lockstep.schema.saga.OperatorAction;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.StartSaga;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import dev.lockstep.testkit.machine.VirtualPartition;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * One saga in virtual time: the test plays the participants and the lock service, and says what the
 * saga must ask for next.
 *
 * <p>The definition runs on the real machine; every turn runs twice, so that a function of the
 * definition that is not pure shows. Whatever the saga does must be expected, in order: a command
 * that the test passes over fails the next expectation. Expectations throw {@link AssertionError}
 * with what was expected, what the saga did instead, and its story so far. Not thread-safe.
 *
 * @param <S> type of the saga's state
 */
public final class SagaScenario<S> {

  private static final LockstepConfig CONFIG = LockstepConfig.of("none:1");
  private static final String OPERATOR = "operator";

  private final Saga<S> saga;
  private final VirtualPartition partition;
  private final Story story = new Story();
  private String sagaId = "";
  private @Nullable StepCommand asked;
  private @Nullable Acquire locks;
  private long nextToken = 1;

  private SagaScenario(Saga<S> saga) {
    this.saga = saga;
    this.partition =
        new VirtualPartition(
            SagaTopics.machine(CONFIG, List.of(saga)),
            0,
            SagaTopics.plan(CONFIG, List.of(saga), 1, 1));
  }

  /**
   * Makes a scenario.
   *
   * @param saga what is tested
   * @param <S> type of its state
   * @return scenario in which nothing has happened
   */
  public static <S> SagaScenario<S> of(Saga<S> saga) {
    return new SagaScenario<>(saga);
  }

  /**
   * Starts the saga.
   *
   * @param id saga id
   * @param input its first state
   * @return this scenario
   */
  public SagaScenario<S> start(String id, S input) {
    sagaId = id;
    return happens(
        "start " + input,
        partition.send(
            new StartSaga(
                id, saga.name(), saga.version(), partition.time(), UserValue.encode(input))));
  }

  /**
   * Expects that the saga asks for locks, all at once.
   *
   * @param keys all of them, in any order
   * @return this scenario
   */
  public SagaScenario<S> expectLocks(String... keys) {
    Set<String> wanted = new TreeSet<>(List.of(keys));
    Acquire acquire = story.next(Acquire.class, "locks on " + wanted);
    story.require(
        wanted.equals(new TreeSet<>(acquire.getKeys())),
        "locks on " + wanted,
        "locks on " + acquire.getKeys());
    locks = acquire;
    return this;
  }

  /**
   * Grants the locks that the saga asked for.
   *
   * @return this scenario
   */
  public SagaScenario<S> grant() {
    Acquire acquire = story.open(locks, "locks that the saga asked for");
    locks = null;
    return happens(
        "locks are granted",
        partition.send(
            new AcquireReply(
                sagaId,
                acquire.getNumber(),
                AcquireOutcome.GRANTED,
                nextToken++,
                0,
                acquire.getKeys(),
                List.of(),
                "",
                "",
                0L,
                -1,
                0L)));
  }

  /**
   * Expects that the saga sends the command of a step.
   *
   * @param step name of the step
   * @param command what it sends
   * @return this scenario
   */
  public SagaScenario<S> expectCommand(String step, Object command) {
    return expect(Direction.ACTION, step, command);
  }

  /**
   * Expects that the saga undoes a step.
   *
   * @param step name of the step
   * @param command what it sends
   * @return this scenario
   */
  public SagaScenario<S> expectCompensation(String step, Object command) {
    return expect(Direction.COMPENSATION, step, command);
  }

  /**
   * Expects that the saga asks the participant to settle a step whose outcome is unknown.
   *
   * @param step name of the step
   * @return this scenario
   */
  public SagaScenario<S> expectCancel(String step) {
    return expect(Direction.CANCEL, step, null);
  }

  /**
   * The participant did what it was asked for; to a cancel: it had been done before.
   *
   * @return this scenario
   */
  public SagaScenario<S> succeed() {
    return answer(StepOutcome.SUCCESS, "", Duration.ZERO, null);
  }

  /**
   * The participant did what it was asked for.
   *
   * @param payload what it tells the saga
   * @return this scenario
   */
  public SagaScenario<S> succeed(Object payload) {
    return answer(StepOutcome.SUCCESS, "", Duration.ZERO, payload);
  }

  /**
   * The business says no.
   *
   * @param reason for people
   * @return this scenario
   */
  public SagaScenario<S> fail(String reason) {
    return answer(StepOutcome.FAILURE, reason, Duration.ZERO, null);
  }

  /**
   * The participant asks for the command again.
   *
   * @param after earliest pause
   * @param reason for people
   * @return this scenario
   */
  public SagaScenario<S> retry(Duration after, String reason) {
    return answer(StepOutcome.RETRY, reason, after, null);
  }

  /**
   * The participant settles a step as one that never happened and never will.
   *
   * @return this scenario
   */
  public SagaScenario<S> cancelled() {
    return answer(StepOutcome.CANCELLED, "", Duration.ZERO, null);
  }

  /**
   * The participant saw a fencing token that is stale.
   *
   * @param reason for people
   * @return this scenario
   */
  public SagaScenario<S> staleToken(String reason) {
    return answer(StepOutcome.STALE_TOKEN, reason, Duration.ZERO, null);
  }

  /**
   * Lets time pass without an answer.
   *
   * @param duration elapsed log time
   * @return this scenario
   */
  public SagaScenario<S> after(Duration duration) {
    return happens("after " + duration, partition.advance(duration));
  }

  /**
   * A person gives an order for the parked saga.
   *
   * @param action what to do
   * @param reason why
   * @return this scenario
   */
  public SagaScenario<S> operate(OperatorAction action, String reason) {
    return happens(
        "operator: " + action,
        partition.send(
            new Operate(sagaId, action, new OperatorOrder(OPERATOR, reason, partition.time()))));
  }

  /**
   * Expects that the saga asks for nothing more for now.
   *
   * @return this scenario
   */
  public SagaScenario<S> expectNothing() {
    story.requireQuiet();
    return this;
  }

  /** Expects that the saga ended completed, with nothing left unexpected. */
  public void expectCompleted() {
    ended(EndStatus.COMPLETED);
    story.requireQuiet();
  }

  /**
   * Expects that the saga ended rolled back, with nothing left unexpected.
   *
   * @param step where it failed
   * @param reason part of the reason
   */
  public void expectCompensated(String step, String reason) {
    requireReason(ended(EndStatus.COMPENSATED), step, reason);
    story.requireQuiet();
  }

  /**
   * Expects that the saga waits for an operator.
   *
   * @param step where it stands
   * @param reason part of the reason
   * @return this scenario
   */
  public SagaScenario<S> expectParked(String step, String reason) {
    requireReason(ended(EndStatus.PARKED), step, reason);
    return this;
  }

  /**
   * Returns the log so far, for {@link dev.lockstep.testkit.machine.DoubleExecution}.
   *
   * @return records from offset 0
   */
  public List<ConsumerRecord<byte[], byte[]>> log() {
    return partition.log();
  }

  private SagaScenario<S> expect(Direction direction, String step, @Nullable Object command) {
    String wanted = Story.describe(direction, step, command);
    StepCommand sent = story.next(StepCommand.class, wanted);
    String got =
        Story.describe(
            sent.getDirection(),
            sent.getStep(),
            command == null ? null : UserValue.decode(sent.getPayload(), command.getClass()));
    story.require(wanted.equals(got), wanted, got);
    asked = sent;
    return this;
  }

  private SagaScenario<S> answer(
      StepOutcome outcome, String reason, Duration after, @Nullable Object payload) {
    StepCommand command = story.open(asked, "command that was expected");
    return happens(
        command.getStep() + " answers " + outcome + (reason.isEmpty() ? "" : ": " + reason),
        partition.send(
            new StepReply(
                sagaId,
                command.getStep(),
                command.getDirection(),
                command.getAttempt(),
                outcome,
                command.getContentHash(),
                reason,
                after.toMillis(),
                payload == null ? UserValue.NOTHING : UserValue.encode(payload))));
  }

  private SagaScenario<S> happens(String what, List<VirtualPartition.Effect> effects) {
    story.happened(what, effects);
    return this;
  }

  private SagaEnded ended(EndStatus status) {
    SagaEnded ended = story.next(SagaEnded.class, "the end " + status);
    story.require(
        ended.getStatus() == status,
        "the end " + status,
        "the end " + ended.getStatus() + " at '" + ended.getStep() + "': " + ended.getReason());
    return ended;
  }

  private void requireReason(SagaEnded ended, String step, String reason) {
    story.require(
        ended.getStep().equals(step) && ended.getReason().contains(reason),
        "the end at '" + step + "' because of '" + reason + "'",
        "the end at '" + ended.getStep() + "' because of '" + ended.getReason() + "'");
  }
}
