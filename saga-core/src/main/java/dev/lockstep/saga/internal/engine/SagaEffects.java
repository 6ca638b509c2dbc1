package dev.lockstep.saga.internal.engine;

import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.saga.internal.engine.Run.LockRun;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.Fence;
import dev.lockstep.schema.saga.StepCommand;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

/** What a saga announces: commands, lock requests, public facts. A refused one parks it. */
final class SagaEffects {

  private static final ReplyTo NO_REPLY = new ReplyTo("", -1, "", false);

  private final Turn turn;
  private final Run run;
  private final String prefix;

  SagaEffects(Turn turn, Run run) {
    this.turn = turn;
    this.run = run;
    String input = turn.layout().getTopic();
    this.prefix = input.substring(0, input.length() - SagaSchemas.LOG.length());
  }

  void command(String participant, String step, Direction direction, ByteBuffer payload)
      throws ParkException {
    emit(
        prefix + SagaSchemas.commands(participant),
        new StepCommand(
            run.id,
            run.saga.name(),
            step,
            direction,
            run.attempt,
            run.contentHash,
            turn.now().wall(),
            payload,
            fences()));
  }

  /** Asks one lock partition; a lease has no time to live. */
  void acquire(LockRun lock) throws ParkException {
    emit(
        lock,
        new Acquire(
            run.id,
            lock.number,
            1L,
            0L,
            lock.keys,
            LockMode.EXCLUSIVE,
            0,
            0,
            0,
            -1L,
            0L,
            run.saga.name(),
            "saga",
            List.of(),
            List.of(),
            new ReplyTo(turn.layout().getTopic(), -1, run.id, false)));
  }

  /** Gives a lock back, or gives up waiting for it. */
  void release(LockRun lock) throws ParkException {
    emit(
        lock,
        lock.token != 0
            ? new Release(run.id, lock.number, 1L, lock.number, lock.token, 0L, true, NO_REPLY)
            : new Cancel(run.id, lock.number, 1L, lock.number));
  }

  /** Announces a public fact; it is small and its topic is ours, so it cannot be refused. */
  void announce(Object event) {
    try {
      turn.effects().send(prefix + SagaSchemas.EVENTS, run.id, event);
    } catch (EffectRefusedException e) {
      throw new IllegalStateException("Event of saga " + run.id + " is refused", e);
    }
  }

  int lockPartitions() throws ParkException {
    String topic = prefix + LockSchemas.COMMANDS;
    for (Destination destination : turn.layout().getDestinations()) {
      if (destination.getTopic().equals(topic)) {
        return destination.getPartitions();
      }
    }
    throw new ParkException("The Layout lists no lock topic '" + topic + "'");
  }

  private List<Fence> fences() {
    List<Fence> fences = new ArrayList<>();
    for (LockRun lock : run.locks) {
      if (lock.token != 0) {
        fences.add(new Fence(lock.token, lock.keys));
      }
    }
    return fences;
  }

  private void emit(String topic, Object record) throws ParkException {
    try {
      turn.effects().send(topic, run.id, record);
    } catch (EffectRefusedException e) {
      throw new ParkException(String.valueOf(e.getMessage()));
    }
  }

  private void emit(LockRun lock, Object record) throws ParkException {
    try {
      turn.effects().send(prefix + LockSchemas.COMMANDS, lock.partition, lock.keys.get(0), record);
    } catch (EffectRefusedException e) {
      throw new ParkException(String.valueOf(e.getMessage()));
    }
  }
}
