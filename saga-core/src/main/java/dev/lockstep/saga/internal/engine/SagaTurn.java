package dev.lockstep.saga.internal.engine;

import dev.lockstep.kernel.Turn;
import dev.lockstep.saga.Step;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.saga.internal.engine.Run.LockRun;
import dev.lockstep.saga.internal.engine.Run.StepRun;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.EndStatus;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.StepEnded;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.state.SagaStatus;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * What one record does to one saga.
 *
 * <p>Whatever cannot be done - a command that is too large, a function of the user that throws -
 * parks the saga with its reason; the partition goes on.
 */
final class SagaTurn {

  /** Something that may park the saga. */
  private interface Action {
    void run() throws ParkException;
  }

  private final Turn turn;
  private final SagaRows rows;
  private final Run run;
  private final UserCode user;
  private final SagaEffects effects;
  private final long deadlineBefore;

  SagaTurn(Turn turn, SagaRows rows, Payloads payloads, Run run, boolean isNew) {
    this.turn = turn;
    this.rows = rows;
    this.run = run;
    this.user = new UserCode(payloads, run);
    this.effects = new SagaEffects(turn, run);
    this.deadlineBefore = isNew ? Run.NEVER : run.deadline;
  }

  /** Stores the saga; called once, last. */
  void store() {
    if (deadlineBefore != run.deadline) {
      if (deadlineBefore != Run.NEVER) {
        rows.deleteDeadline(deadlineBefore, run.id);
      }
      if (run.deadline != Run.NEVER) {
        rows.putDeadline(run.deadline, run.id);
      }
    }
    if (run.isEnded()) {
      run.state = Run.NOTHING;
      run.steps.forEach(step -> step.compensation = Run.NOTHING);
      run.locks.clear();
      rows.putEnded(turn.now().wall(), run.id);
    }
    rows.putSaga(run.id, run.stored());
  }

  // ---- forward ----

  /** Enters the current step: its locks first, then its command. */
  void enter() {
    guarded(this::enterStep);
  }

  /** A lock partition granted; asks the next one, or sends the command. */
  void granted(LockRun lock, long token) {
    lock.token = token;
    run.lockPart++;
    guarded(this::askNextLock);
  }

  /** The lock service refused. */
  void notGranted(String reason) {
    guarded(
        () -> {
          throw new ParkException("Locks are not granted: " + reason);
        });
  }

  void succeeded(ByteBuffer payload) {
    guarded(
        () -> {
          announceEnd(StepOutcome.SUCCESS, "");
          user.applyReply(step(), payload);
          current().done = true;
          next();
        });
  }

  /** The business said no: nothing of this step stands. */
  void failed(StepOutcome outcome, String reason) {
    guarded(
        () -> {
          announceEnd(outcome, reason);
          current().sent = false;
          if (step().kind() == Step.Kind.RETRIABLE) {
            current().sent = true;
            throw new ParkException("A retriable step failed: " + reason);
          }
          rollBack(reason);
        });
  }

  /** No answer, or a technical failure: tries again, or decides what an unknown outcome means. */
  void tryAgain(String reason, long afterMillis) {
    guarded(
        () -> {
          if (run.attempt < policyAttempts()) {
            long delay = Math.max(afterMillis, step().retries().delayAfter(run.attempt));
            run.waiting = true;
            run.deadline = turn.now().elapsed() + delay;
            return;
          }
          exhausted(reason);
        });
  }

  /** The pause is over, or the answer is late. */
  void due() {
    if (run.waiting) {
      run.waiting = false;
      run.attempt++;
      guarded(this::send);
    } else {
      tryAgain("No answer to attempt " + run.attempt + " of '" + step().name() + "'", 0);
    }
  }

  /** The action of a step that had no answer will never happen. */
  void cancelled() {
    guarded(
        () -> {
          announceEnd(StepOutcome.CANCELLED, run.reason);
          current().sent = false;
          rollBack(run.reason);
        });
  }

  // ---- backward ----

  void compensated() {
    guarded(
        () -> {
          announceEnd(StepOutcome.SUCCESS, "");
          current().compensated = true;
          compensateFrom(run.step - 1);
        });
  }

  // ---- parked ----

  /** Parks the saga; it keeps its locks. */
  void park(String reason) {
    if (run.status != SagaStatus.PARKED) {
      run.parkedFrom = run.status;
    }
    run.status = SagaStatus.PARKED;
    run.deadline = Run.NEVER;
    run.waiting = false;
    run.reason = reason;
    String name = run.step < run.steps.size() ? step().name() : "";
    run.failedStep = run.failedStep.isEmpty() ? name : run.failedStep;
    effects.announce(
        new SagaEnded(run.id, run.saga.name(), EndStatus.PARKED, name, run.attempt, reason));
  }

  void retryParked() {
    run.status = run.parkedFrom == null ? SagaStatus.RUNNING : run.parkedFrom;
    run.parkedFrom = null;
    run.attempt = 1;
    guarded(run.status == SagaStatus.LOCKING ? this::askNextLock : this::send);
  }

  void skipParked() {
    SagaStatus from = run.parkedFrom;
    run.parkedFrom = null;
    guarded(
        () -> {
          if (from == SagaStatus.COMPENSATING) {
            run.status = SagaStatus.COMPENSATING;
            current().compensated = true;
            compensateFrom(run.step - 1);
          } else {
            run.status = SagaStatus.RUNNING;
            current().done = true;
            next();
          }
        });
  }

  void abortParked(String reason) {
    run.parkedFrom = null;
    guarded(() -> rollBack(reason));
  }

  // ---- the parts ----

  private void guarded(Action action) {
    try {
      action.run();
    } catch (ParkException e) {
      park(String.valueOf(e.getMessage()));
    }
  }

  private void enterStep() throws ParkException {
    run.attempt = 1;
    Collection<String> keys = user.lockKeys(step());
    if (keys.isEmpty()) {
      send();
      return;
    }
    int partitions = effects.lockPartitions();
    Map<Integer, List<String>> byPartition = new TreeMap<>();
    // sorted keys, partitions in ascending order: no cycle of waiting among sagas
    for (String key : new TreeSet<>(keys)) {
      byPartition.computeIfAbsent(Partitions.of(key, partitions), p -> new ArrayList<>()).add(key);
    }
    run.lockPart = run.locks.size();
    byPartition.forEach(
        (partition, own) -> run.locks.add(new LockRun(partition, run.nextLock++, own, 0)));
    run.status = SagaStatus.LOCKING;
    run.deadline = Run.NEVER;
    askNextLock();
  }

  private void askNextLock() throws ParkException {
    if (run.lockPart >= run.locks.size()) {
      run.status = SagaStatus.RUNNING;
      send();
      return;
    }
    effects.acquire(run.locks.get(run.lockPart));
  }

  private void send() throws ParkException {
    Step<?> step = step();
    StepRun own = current();
    ByteBuffer payload;
    Direction direction;
    String participant = step.participant().name();
    switch (run.status) {
      case RUNNING -> {
        direction = Direction.ACTION;
        payload = user.command(step);
        if (!own.sent && step.compensation() != null) {
          // what is undone is what was asked for, not what the state became later
          own.compensation = user.compensation(step);
        }
        own.sent = true;
      }
      case COMPENSATING -> {
        direction = Direction.COMPENSATION;
        payload = own.compensation;
        participant = step.undoneBy() == null ? participant : step.undoneBy().name();
      }
      case CANCELLING -> {
        direction = Direction.CANCEL;
        payload = Run.NOTHING;
      }
      default -> throw new IllegalStateException("Nothing is sent in status " + run.status);
    }
    run.contentHash = Payloads.hash(payload);
    run.deadline = turn.now().elapsed() + step.within().toMillis();
    effects.command(participant, step.name(), direction, payload);
  }

  private void next() throws ParkException {
    if (run.step + 1 < run.saga.steps().size()) {
      run.step++;
      run.status = SagaStatus.RUNNING;
      enterStep();
    } else {
      end(SagaStatus.COMPLETED, EndStatus.COMPLETED);
    }
  }

  private void exhausted(String reason) throws ParkException {
    switch (run.status) {
      case RUNNING -> {
        switch (step().kind()) {
          case COMPENSATABLE -> {
            // the outcome is unknown: undo it, and the barrier refuses it if it comes later
            announceEnd(StepOutcome.RETRY, reason);
            rollBack(reason);
          }
          case PIVOT -> {
            // a time-out is no answer: only the participant knows whether it happened
            run.status = SagaStatus.CANCELLING;
            run.reason = reason;
            run.failedStep = step().name();
            run.attempt = 1;
            send();
          }
          case RETRIABLE -> throw new ParkException("Attempts are used up: " + reason);
        }
      }
      default -> throw new ParkException("Attempts are used up: " + reason);
    }
  }

  private int policyAttempts() {
    // what settles a pivot goes on until it is settled
    return run.status == SagaStatus.CANCELLING ? Integer.MAX_VALUE : step().retries().maxAttempts();
  }

  private void rollBack(String reason) throws ParkException {
    run.reason = reason;
    if (run.failedStep.isEmpty()) {
      run.failedStep = step().name();
    }
    run.status = SagaStatus.COMPENSATING;
    compensateFrom(run.step);
  }

  private void compensateFrom(int from) throws ParkException {
    for (int i = from; i >= 0; i--) {
      StepRun own = run.steps.get(i);
      if (own.sent && !own.compensated && own.compensation.hasRemaining()) {
        run.step = i;
        run.attempt = 1;
        send();
        return;
      }
    }
    end(SagaStatus.COMPENSATED, EndStatus.COMPENSATED);
  }

  private void end(SagaStatus status, EndStatus end) throws ParkException {
    run.status = status;
    run.deadline = Run.NEVER;
    run.waiting = false;
    for (LockRun lock : run.locks) {
      effects.release(lock);
    }
    boolean failed = status == SagaStatus.COMPENSATED;
    effects.announce(
        new SagaEnded(
            run.id,
            run.saga.name(),
            end,
            failed ? run.failedStep : "",
            run.attempt,
            failed ? run.reason : ""));
  }

  private void announceEnd(StepOutcome outcome, String reason) {
    Direction direction =
        switch (run.status) {
          case COMPENSATING -> Direction.COMPENSATION;
          case CANCELLING -> Direction.CANCEL;
          default -> Direction.ACTION;
        };
    effects.announce(new StepEnded(run.id, step().name(), direction, outcome, run.attempt, reason));
  }

  private Step<?> step() {
    return run.saga.steps().get(run.step);
  }

  private StepRun current() {
    return run.steps.get(run.step);
  }
}
