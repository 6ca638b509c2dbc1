package dev.lockstep.saga.internal.engine;

import dev.lockstep.saga.Saga;
import dev.lockstep.schema.state.SagaLock;
import dev.lockstep.schema.state.SagaState;
import dev.lockstep.schema.state.SagaStatus;
import dev.lockstep.schema.state.StepState;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One saga while a turn works on it: the stored state, open for change. */
final class Run {

  static final long NEVER = Long.MAX_VALUE;
  static final ByteBuffer NOTHING = ByteBuffer.allocate(0);

  final String id;
  final Saga<?> saga;
  final List<StepRun> steps = new ArrayList<>();
  final List<LockRun> locks = new ArrayList<>();
  SagaStatus status;
  int step;
  int attempt;
  int lockPart;
  long deadline;
  boolean waiting;
  long contentHash;
  @Nullable SagaStatus parkedFrom;
  long nextLock;
  String reason;
  String failedStep;
  long startedAt;
  ByteBuffer state;

  /** One step of it. */
  static final class StepRun {
    boolean sent;
    boolean done;
    boolean compensated;
    ByteBuffer compensation = NOTHING;
  }

  /** Keys of it in one lock partition. */
  static final class LockRun {
    final int partition;
    final long number;
    final List<String> keys;
    long token;

    LockRun(int partition, long number, List<String> keys, long token) {
      this.partition = partition;
      this.number = number;
      this.keys = keys;
      this.token = token;
    }
  }

  private Run(String id, Saga<?> saga) {
    this.id = id;
    this.saga = saga;
    this.status = SagaStatus.RUNNING;
    this.reason = "";
    this.failedStep = "";
    this.state = NOTHING;
    this.deadline = NEVER;
    this.nextLock = 1;
  }

  static Run started(String id, Saga<?> saga, ByteBuffer state, long startedAt) {
    Run run = new Run(id, saga);
    run.state = state;
    run.startedAt = startedAt;
    saga.steps().forEach(step -> run.steps.add(new StepRun()));
    return run;
  }

  static Run of(String id, Saga<?> saga, SagaState stored) {
    Run run = new Run(id, saga);
    run.status = stored.getStatus();
    run.step = stored.getStep();
    run.attempt = stored.getAttempt();
    run.lockPart = stored.getLockPart();
    run.deadline = stored.getDeadline();
    run.waiting = stored.getWaiting();
    run.contentHash = stored.getContentHash();
    run.parkedFrom = stored.getParkedFrom();
    run.nextLock = stored.getNextLock();
    run.reason = stored.getReason();
    run.failedStep = stored.getFailedStep();
    run.startedAt = stored.getStartedAt();
    run.state = stored.getState();
    for (StepState step : stored.getSteps()) {
      StepRun own = new StepRun();
      own.sent = step.getSent();
      own.done = step.getDone();
      own.compensated = step.getCompensated();
      own.compensation = step.getCompensation();
      run.steps.add(own);
    }
    for (SagaLock lock : stored.getLocks()) {
      run.locks.add(
          new LockRun(lock.getPartition(), lock.getNumber(), lock.getKeys(), lock.getToken()));
    }
    return run;
  }

  SagaState stored() {
    List<StepState> storedSteps = new ArrayList<>();
    for (StepRun own : steps) {
      storedSteps.add(new StepState(own.sent, own.done, own.compensated, own.compensation));
    }
    List<SagaLock> storedLocks = new ArrayList<>();
    for (LockRun lock : locks) {
      storedLocks.add(new SagaLock(lock.partition, lock.number, lock.token, lock.keys));
    }
    return new SagaState(
        saga.name(),
        saga.version(),
        saga.fingerprint(),
        status,
        step,
        attempt,
        lockPart,
        deadline,
        waiting,
        contentHash,
        parkedFrom,
        nextLock,
        reason,
        failedStep,
        startedAt,
        state,
        storedSteps,
        storedLocks);
  }

  boolean isEnded() {
    return status == SagaStatus.COMPLETED || status == SagaStatus.COMPENSATED;
  }
}
