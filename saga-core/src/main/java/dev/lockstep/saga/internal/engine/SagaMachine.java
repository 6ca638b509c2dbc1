package dev.lockstep.saga.internal.engine;

import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Machine;
import dev.lockstep.kernel.PartitionStoppedException;
import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.Turn;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.Step;
import dev.lockstep.saga.internal.Definitions;
import dev.lockstep.saga.internal.engine.Run.LockRun;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.Operate;
import dev.lockstep.schema.saga.SagaStarted;
import dev.lockstep.schema.saga.StartSaga;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import dev.lockstep.schema.state.SagaState;
import dev.lockstep.schema.state.SagaStatus;
import org.jspecify.annotations.Nullable;

/** Decides the sagas of one partition. Pure, as long as the definitions' functions are. */
public final class SagaMachine implements Machine {

  /** Protocol and state types; lock replies come back on the log. */
  public static final SchemaCatalog CATALOG =
      SagaSchemas.CATALOG.and(SagaRows.CATALOG).and(LockSchemas.CATALOG);

  /** Kinds of rows that are scanned: deadlines, and ended sagas to forget. */
  public static final String SCANNED = "de";

  /** One horizon for every memory of what was seen: seven days (design section 6). */
  public static final long HORIZON_MS = 7L * 24 * 3600 * 1000;

  private static final int ID_LIMIT = 128;

  private final Definitions definitions;

  public SagaMachine(Definitions definitions) {
    this.definitions = definitions;
  }

  @Override
  public void apply(Turn turn) throws RejectedInputException {
    SagaRows rows = new SagaRows(turn.store());
    forgetOld(turn, rows);
    doDue(turn, rows);
    Object input = turn.input();
    if (input instanceof StartSaga start) {
      start(turn, rows, start);
    } else if (input instanceof StepReply reply) {
      reply(turn, rows, reply);
    } else if (input instanceof AcquireReply reply) {
      lockReply(turn, rows, reply);
    } else if (input instanceof Operate order) {
      operate(turn, rows, order);
    }
  }

  @Override
  public Deadlines deadlines(Store store) {
    SagaRows rows = new SagaRows(store);
    SagaRows.Due deadline = rows.firstDeadline();
    SagaRows.Due ended = rows.firstEnded();
    return new Deadlines(
        deadline == null ? Long.MAX_VALUE : deadline.at(),
        ended == null ? Long.MAX_VALUE : ended.at() + HORIZON_MS);
  }

  private void doDue(Turn turn, SagaRows rows) {
    long left = turn.limit("saga.due.per.record", 200);
    for (SagaRows.Due due = rows.firstDeadline();
        due != null && due.at() <= turn.now().elapsed() && left > 0;
        due = rows.firstDeadline(), left--) {
      Run run = load(rows, due.sagaId());
      if (run == null || run.deadline != due.at()) {
        rows.deleteDeadline(due.at(), due.sagaId());
        continue;
      }
      SagaTurn saga = new SagaTurn(turn, rows, definitions.payloads(), run, false);
      saga.due();
      saga.store();
    }
  }

  private static void forgetOld(Turn turn, SagaRows rows) {
    for (int i = 0; i < 10; i++) {
      SagaRows.Due ended = rows.firstEnded();
      if (ended == null || ended.at() + HORIZON_MS > turn.now().wall()) {
        return;
      }
      rows.deleteEnded(ended);
      rows.deleteSaga(ended.sagaId());
    }
  }

  private void start(Turn turn, SagaRows rows, StartSaga start) throws RejectedInputException {
    requireRecent(turn, "Start of saga " + start.getSagaId(), start.getCreatedAt());
    if (start.getSagaId().isEmpty() || start.getSagaId().length() > ID_LIMIT) {
      throw new RejectedInputException(
          "A saga id has 1 to %d characters, this one has %d"
              .formatted(ID_LIMIT, start.getSagaId().length()));
    }
    if (rows.saga(start.getSagaId()) != null) {
      return;
    }
    String limit = Definitions.limit(start.getDefinition(), start.getVersion());
    if (!turn.layout().getLimits().containsKey(limit)) {
      throw new RejectedInputException(
          "Saga '%s' version %d is not among the definitions of the Layout"
              .formatted(start.getDefinition(), start.getVersion()));
    }
    Saga<?> definition = require(start.getDefinition(), start.getVersion(), turn.limit(limit, 0));
    requireReadable(definition, start);
    Run run = Run.started(start.getSagaId(), definition, start.getInput(), turn.now().wall());
    try {
      String log = turn.layout().getTopic();
      turn.effects()
          .send(
              log.substring(0, log.length() - SagaSchemas.LOG.length()) + SagaSchemas.EVENTS,
              run.id,
              new SagaStarted(run.id, definition.name(), definition.version()));
    } catch (EffectRefusedException e) {
      throw new RejectedInputException(String.valueOf(e.getMessage()));
    }
    SagaTurn saga = new SagaTurn(turn, rows, definitions.payloads(), run, true);
    saga.enter();
    saga.store();
  }

  private void requireReadable(Saga<?> definition, StartSaga start) throws RejectedInputException {
    try {
      Object state = definitions.payloads().decode(start.getInput());
      if (!definition.stateType().isInstance(state)) {
        throw new RejectedInputException(
            "Input of saga %s is a %s, '%s' starts with a %s"
                .formatted(
                    start.getSagaId(),
                    state.getClass().getSimpleName(),
                    definition.name(),
                    definition.stateType().getSimpleName()));
      }
    } catch (SchemaException e) {
      throw new RejectedInputException(
          "Input of saga %s cannot be read: %s".formatted(start.getSagaId(), e.getMessage()));
    }
  }

  private void reply(Turn turn, SagaRows rows, StepReply reply) {
    Run run = load(rows, reply.getSagaId());
    if (run == null || !isAwaited(run, reply)) {
      return;
    }
    SagaTurn saga = new SagaTurn(turn, rows, definitions.payloads(), run, false);
    StepOutcome outcome = reply.getOutcome();
    boolean isFinal = outcome == StepOutcome.SUCCESS || outcome == StepOutcome.FAILURE;
    if (isFinal
        && run.status != SagaStatus.CANCELLING
        && reply.getContentHash() != run.contentHash) {
      saga.park(
          "Step '%s' took effect with content %016x, this saga asked for %016x: two versions of one definition ran"
              .formatted(reply.getStep(), reply.getContentHash(), run.contentHash));
      saga.store();
      return;
    }
    run.deadline = Run.NEVER;
    run.waiting = false;
    switch (outcome) {
      case SUCCESS -> {
        if (run.status == SagaStatus.COMPENSATING) {
          saga.compensated();
        } else {
          saga.succeeded(reply.getPayload());
        }
      }
      case FAILURE -> {
        if (run.status == SagaStatus.COMPENSATING) {
          saga.park(
              "Compensation of '%s' failed: %s".formatted(reply.getStep(), reply.getReason()));
        } else {
          saga.failed(StepOutcome.FAILURE, reply.getReason());
        }
      }
      case RETRY -> saga.tryAgain(reply.getReason(), reply.getRetryAfterMillis());
      case CANCELLED -> saga.cancelled();
      case STALE_TOKEN -> saga.park("Step '%s': %s".formatted(reply.getStep(), reply.getReason()));
    }
    saga.store();
  }

  /** A reply counts for the current step and direction, whatever its attempt. */
  private static boolean isAwaited(Run run, StepReply reply) {
    Direction direction =
        switch (run.status) {
          case RUNNING -> Direction.ACTION;
          case COMPENSATING -> Direction.COMPENSATION;
          case CANCELLING -> Direction.CANCEL;
          default -> null;
        };
    if (direction == null
        || direction != reply.getDirection()
        || !run.saga.steps().get(run.step).name().equals(reply.getStep())) {
      return false;
    }
    // a second "try again" to the same attempt would skip the pause
    return reply.getOutcome() != StepOutcome.RETRY
        || (reply.getAttempt() == run.attempt && !run.waiting);
  }

  private void lockReply(Turn turn, SagaRows rows, AcquireReply reply) {
    Run run = load(rows, reply.getOwner());
    if (run == null || run.status != SagaStatus.LOCKING || run.lockPart >= run.locks.size()) {
      return;
    }
    LockRun lock = run.locks.get(run.lockPart);
    if (lock.number != reply.getNumber()) {
      return;
    }
    SagaTurn saga = new SagaTurn(turn, rows, definitions.payloads(), run, false);
    if (reply.getOutcome() == AcquireOutcome.GRANTED) {
      saga.granted(lock, reply.getToken());
    } else {
      saga.notGranted(reply.getOutcome() + ": " + reply.getReason());
    }
    saga.store();
  }

  private void operate(Turn turn, SagaRows rows, Operate order) throws RejectedInputException {
    requireRecent(turn, "Order for saga " + order.getSagaId(), order.getOrder().getCreatedAt());
    String fault = OperatorOrders.fault(order.getOrder());
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
    Run run = load(rows, order.getSagaId());
    if (run == null || run.status != SagaStatus.PARKED) {
      throw new RejectedInputException(
          "Saga %s is not parked but %s"
              .formatted(order.getSagaId(), run == null ? "unknown" : run.status));
    }
    SagaTurn saga = new SagaTurn(turn, rows, definitions.payloads(), run, false);
    switch (order.getAction()) {
      case RETRY -> saga.retryParked();
      case SKIP -> saga.skipParked();
      case ABORT -> {
        boolean pivotDone =
            run.saga.steps().subList(0, run.step).stream()
                .anyMatch(step -> step.kind() != Step.Kind.COMPENSATABLE);
        if (pivotDone || run.parkedFrom == SagaStatus.COMPENSATING) {
          throw new RejectedInputException(
              "Saga %s cannot be aborted at step %d: it is behind its pivot or already rolling back; retry or skip"
                  .formatted(order.getSagaId(), run.step));
        }
        saga.abortParked(OperatorOrders.told(order.getOrder()));
      }
    }
    saga.store();
  }

  private @Nullable Run load(SagaRows rows, String sagaId) {
    SagaState stored = rows.saga(sagaId);
    if (stored == null) {
      return null;
    }
    Saga<?> definition =
        require(stored.getDefinition(), stored.getVersion(), stored.getFingerprint());
    return Run.of(sagaId, definition, stored);
  }

  /** Returns a definition that the log asks for; this program may lack it, the log cannot. */
  private Saga<?> require(String name, int version, long fingerprint) {
    Saga<?> definition = definitions.find(name, version);
    if (definition == null) {
      throw new PartitionStoppedException(
          "Saga '%s' version %d is not in this program; run a release that has it as long as instances run"
              .formatted(name, version));
    }
    if (definition.fingerprint() != fingerprint) {
      throw new PartitionStoppedException(
          "Saga '%s' version %d has structure %016x here, instances started with %016x; a change is a new version"
              .formatted(name, version, definition.fingerprint(), fingerprint));
    }
    return definition;
  }

  private static void requireRecent(Turn turn, String what, long createdAt)
      throws RejectedInputException {
    if (turn.now().wall() - createdAt > HORIZON_MS) {
      throw new RejectedInputException(
          "%s was created %d ms ago, older than the horizon of %d ms"
              .formatted(what, turn.now().wall() - createdAt, HORIZON_MS));
    }
  }
}
