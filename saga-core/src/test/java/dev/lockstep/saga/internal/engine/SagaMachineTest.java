package dev.lockstep.saga.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.RetryPolicy;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.kernel.OperatorOrder;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.EndStatus;
import dev.lockstep.schema.saga.Operate;
import dev.lockstep.schema.saga.OperatorAction;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.SagaStarted;
import dev.lockstep.schema.saga.StartSaga;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

class SagaMachineTest {

  record Trip(String id, List<String> seats, String booking) {}

  record Book(String id) {}

  record Booked(String reference) {}

  record Unbook(String id, String bookingAtThatTime) {}

  record Pay(String reference) {}

  record Refund(String id) {}

  record Mail(String id) {}

  private static final ParticipantRef HOTEL = ParticipantRef.of("hotel");
  private static final ParticipantRef BANK = ParticipantRef.of("bank");
  private static final Payloads PAYLOADS =
      new Payloads(SchemaCatalog.of(Trip.class, Book.class, Unbook.class, Pay.class, Mail.class));

  private static final Saga<Trip> SAGA =
      Saga.named("trip", Trip.class)
          .step("book")
          .locking(Trip::seats)
          .send(HOTEL, t -> new Book(t.id()))
          .on(Booked.class, (t, r) -> new Trip(t.id(), t.seats(), r.reference()))
          .compensate(HOTEL, t -> new Unbook(t.id(), t.booking()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 3))
          .within(Duration.ofSeconds(2))
          .pivot("pay")
          .send(BANK, t -> new Pay(t.booking()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 2))
          .within(Duration.ofSeconds(2))
          .retriable("mail")
          .send(HOTEL, t -> new Mail(t.id()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 2))
          .build();

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private final VirtualPartition log =
      new VirtualPartition(
          SagaTopics.machine(CONFIG, List.of(SAGA)),
          0,
          SagaTopics.plan(CONFIG, List.of(SAGA), 1, 1));

  private static <T> T only(List<Effect> effects, Class<T> type) {
    List<T> found =
        effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
    assertThat(found).hasSize(1);
    return found.get(0);
  }

  private List<Effect> start(String id, String... seats) {
    return log.send(
        new StartSaga(
            id, "trip", 1, 1_700_000_000_000L, PAYLOADS.encode(new Trip(id, List.of(seats), ""))));
  }

  private List<Effect> reply(StepCommand to, StepOutcome outcome, ByteBuffer payload) {
    return log.send(
        new StepReply(
            to.getSagaId(),
            to.getStep(),
            to.getDirection(),
            to.getAttempt(),
            outcome,
            to.getContentHash(),
            "because",
            0L,
            payload));
  }

  private List<Effect> succeed(StepCommand command) {
    ByteBuffer payload =
        command.getStep().equals("book") && command.getDirection() == Direction.ACTION
            ? new Payloads(SchemaCatalog.of()).encode(new Booked("R-1"))
            : ByteBuffer.allocate(0);
    return reply(command, StepOutcome.SUCCESS, payload);
  }

  private List<Effect> fail(StepCommand command, StepOutcome outcome) {
    return reply(command, outcome, ByteBuffer.allocate(0));
  }

  @Test
  void completesStepByStep() {
    StepCommand book = only(start("s1"), StepCommand.class);
    StepCommand pay = only(succeed(book), StepCommand.class);
    StepCommand mail = only(succeed(pay), StepCommand.class);
    List<Effect> end = succeed(mail);

    assertThat(PAYLOADS.decode(pay.getPayload())).isEqualTo(new Pay("R-1"));
    assertThat(only(end, SagaEnded.class).getStatus()).isEqualTo(EndStatus.COMPLETED);
  }

  @Test
  void startsOnceHoweverOftenItIsSent() {
    start("s1");

    assertThat(start("s1")).isEmpty();
    assertThat(log.effects(SagaStarted.class)).hasSize(1);
  }

  @Test
  void locksBeforeTheStepAndReleasesAtTheEnd() {
    Acquire asked = only(start("s1", "seat-2", "seat-1"), Acquire.class);
    assertThat(asked.getKeys()).containsExactly("seat-1", "seat-2");
    assertThat(asked.getTtlMillis()).isZero();

    StepCommand book =
        only(
            log.send(
                new AcquireReply(
                    "s1",
                    1L,
                    AcquireOutcome.GRANTED,
                    77L,
                    0,
                    asked.getKeys(),
                    List.of(),
                    "",
                    "",
                    0L,
                    -1,
                    0L)),
            StepCommand.class);
    assertThat(book.getFences().get(0).getToken()).isEqualTo(77);

    Release release = only(fail(book, StepOutcome.FAILURE), Release.class);
    assertThat(release.getToken()).isEqualTo(77);
  }

  @Test
  void failedPivotUndoesWhatWasDoneWithWhatWasCaptured() {
    StepCommand book = only(start("s1"), StepCommand.class);
    StepCommand pay = only(succeed(book), StepCommand.class);

    StepCommand unbook = only(fail(pay, StepOutcome.FAILURE), StepCommand.class);
    SagaEnded end = only(succeed(unbook), SagaEnded.class);

    assertThat(unbook.getDirection()).isEqualTo(Direction.COMPENSATION);
    assertThat(PAYLOADS.decode(unbook.getPayload())).isEqualTo(new Unbook("s1", ""));
    assertThat(end.getStatus()).isEqualTo(EndStatus.COMPENSATED);
    assertThat(end.getStep()).isEqualTo("pay");
    assertThat(end.getReason()).isEqualTo("because");
  }

  @Test
  void failedFirstStepHasNothingToUndo() {
    StepCommand book = only(start("s1"), StepCommand.class);

    List<Effect> effects = fail(book, StepOutcome.FAILURE);

    assertThat(only(effects, SagaEnded.class).getStatus()).isEqualTo(EndStatus.COMPENSATED);
    assertThat(effects).noneMatch(e -> e.value() instanceof StepCommand);
  }

  @Test
  void technicalFailureIsTriedAgainAfterItsDelay() {
    StepCommand first = only(start("s1"), StepCommand.class);
    assertThat(fail(first, StepOutcome.RETRY)).isEmpty();

    StepCommand second = only(log.advance(Duration.ofMillis(400)), StepCommand.class);

    assertThat(second.getAttempt()).isEqualTo(2);
    assertThat(second.getPayload()).isEqualTo(first.getPayload());
  }

  @Test
  void compensatableStepWithoutAnswerIsUndone() {
    start("s1");

    log.advance(Duration.ofSeconds(10));

    List<StepCommand> commands = log.effects(StepCommand.class);
    assertThat(commands)
        .extracting(StepCommand::getDirection)
        .startsWith(Direction.ACTION, Direction.ACTION, Direction.ACTION, Direction.COMPENSATION);
  }

  /** Execution K8 of the kernel review: a time-out is not an answer. */
  @Test
  void pivotWithoutAnswerIsSettledBeforeItCounts() {
    StepCommand pay = only(succeed(only(start("s1"), StepCommand.class)), StepCommand.class);
    log.advance(Duration.ofSeconds(6));

    List<StepCommand> commands = log.effects(StepCommand.class);
    StepCommand cancel = commands.get(commands.size() - 1);
    assertThat(cancel.getDirection()).isEqualTo(Direction.CANCEL);
    assertThat(log.effects(SagaEnded.class)).isEmpty();

    // it had been done: the saga goes on
    List<Effect> late =
        reply(
            new StepCommand(
                "s1",
                "trip",
                "pay",
                Direction.CANCEL,
                1,
                pay.getContentHash(),
                0L,
                ByteBuffer.allocate(0),
                List.of()),
            StepOutcome.SUCCESS,
            ByteBuffer.allocate(0));
    assertThat(only(late, StepCommand.class).getStep()).isEqualTo("mail");
  }

  @Test
  void cancelledPivotRollsBack() {
    only(succeed(only(start("s1"), StepCommand.class)), StepCommand.class);
    log.advance(Duration.ofSeconds(6));
    List<StepCommand> commands = log.effects(StepCommand.class);

    List<Effect> effects = fail(commands.get(commands.size() - 1), StepOutcome.CANCELLED);

    assertThat(only(effects, StepCommand.class).getDirection()).isEqualTo(Direction.COMPENSATION);
  }

  @Test
  void lateReplyToAnEarlierAttemptCounts() {
    StepCommand first = only(start("s1"), StepCommand.class);
    log.advance(Duration.ofMillis(2_500));

    assertThat(only(succeed(first), StepCommand.class).getStep()).isEqualTo("pay");
  }

  @Test
  void compensationThatFailsParksAndARetryGoesOn() {
    StepCommand pay = only(succeed(only(start("s1"), StepCommand.class)), StepCommand.class);
    StepCommand unbook = only(fail(pay, StepOutcome.FAILURE), StepCommand.class);

    SagaEnded parked = only(fail(unbook, StepOutcome.FAILURE), SagaEnded.class);
    StepCommand again =
        only(
            log.send(
                new Operate(
                    "s1",
                    OperatorAction.RETRY,
                    new OperatorOrder("ops", "mended", 1_700_000_000_000L))),
            StepCommand.class);

    assertThat(parked.getStatus()).isEqualTo(EndStatus.PARKED);
    assertThat(again.getDirection()).isEqualTo(Direction.COMPENSATION);
    assertThat(only(succeed(again), SagaEnded.class).getStatus()).isEqualTo(EndStatus.COMPENSATED);
  }

  @Test
  void retriableStepThatIsSpentParks() {
    StepCommand pay = only(succeed(only(start("s1"), StepCommand.class)), StepCommand.class);
    succeed(pay);

    log.advance(Duration.ofSeconds(40));

    assertThat(log.effects(SagaEnded.class))
        .extracting(SagaEnded::getStatus)
        .containsExactly(EndStatus.PARKED);
  }

  /** Execution K10 of the kernel review. */
  @Test
  void replyToOtherContentParks() {
    StepCommand book = only(start("s1"), StepCommand.class);

    List<Effect> effects =
        log.send(
            new StepReply(
                "s1",
                "book",
                Direction.ACTION,
                1,
                StepOutcome.SUCCESS,
                4711L,
                "",
                0L,
                ByteBuffer.allocate(0)));

    assertThat(only(effects, SagaEnded.class).getStatus()).isEqualTo(EndStatus.PARKED);
    assertThat(only(effects, SagaEnded.class).getReason()).contains("two versions");
    assertThat(book.getContentHash()).isNotEqualTo(4711L);
  }

  @Test
  void staleTokenParks() {
    StepCommand book = only(start("s1"), StepCommand.class);

    assertThat(only(fail(book, StepOutcome.STALE_TOKEN), SagaEnded.class).getStatus())
        .isEqualTo(EndStatus.PARKED);
  }

  @Test
  void startThatNobodyCanRunIsRejected() {
    List<Effect> unknown =
        log.send(new StartSaga("s1", "cruise", 1, 1_700_000_000_000L, ByteBuffer.allocate(0)));
    List<Effect> old =
        log.send(new StartSaga("s2", "trip", 1, 1_600_000_000_000L, ByteBuffer.allocate(0)));

    assertThat(only(unknown, Rejected.class).getReason())
        .contains("'cruise' version 1 is not among the definitions");
    assertThat(only(old, Rejected.class).getReason()).contains("older than the horizon");
  }

  @Test
  void definitionReportsAllFaultsAtOnce() {
    assertThatThrownBy(
            () ->
                Saga.named("Bad Name", Trip.class)
                    .step("one")
                    .send(HOTEL, t -> new Book(t.id()))
                    .step("one")
                    .send(HOTEL, t -> new Book(t.id()))
                    .within(Duration.ZERO)
                    .build())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("name 'Bad Name'")
        .hasMessageContaining("'one' is named twice")
        .hasMessageContaining("at least 1 ms");
  }
}
