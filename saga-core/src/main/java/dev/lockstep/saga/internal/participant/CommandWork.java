package dev.lockstep.saga.internal.participant;

import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.StepContext;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.saga.internal.participant.Barrier.Entry;
import dev.lockstep.schema.SchemaException;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.Fence;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import java.nio.ByteBuffer;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Does one command in an open transaction and says what to reply; null: nobody waits for an answer.
 *
 * <p>Repeats, a compensation before its action (null compensation) and an action after its
 * compensation (hanging) are all harmless.
 */
final class CommandWork {

  private static final Logger LOG = LoggerFactory.getLogger(CommandWork.class);
  private static final byte[] NOTHING = new byte[0];

  /** Half of what a topic takes by default: the saga's state has to hold several. */
  private static final int PAYLOAD_LIMIT = 500_000;

  private static final int REASON_LIMIT = 1_000;

  private final Participant participant;
  private final Payloads payloads;

  CommandWork(Participant participant) {
    this.participant = participant;
    this.payloads = new Payloads(participant.catalog());
  }

  @Nullable StepReply run(OutboxTransaction tx, StepCommand command) throws SQLException {
    Barrier barrier = new Barrier(tx.connection());
    return switch (command.getDirection()) {
      case ACTION -> act(tx, barrier, command);
      case COMPENSATION -> compensate(tx, barrier, command);
      case CANCEL -> cancel(barrier, command);
    };
  }

  private @Nullable StepReply act(OutboxTransaction tx, Barrier barrier, StepCommand command)
      throws SQLException {
    Savepoint before = tx.connection().setSavepoint();
    if (!barrier.claim(command, Direction.ACTION, Barrier.SUCCESS)) {
      Entry known = barrier.find(command, Direction.ACTION);
      return known == null ? null : repeat(command, known);
    }
    return handle(tx, barrier, command, before);
  }

  private @Nullable StepReply compensate(OutboxTransaction tx, Barrier barrier, StepCommand command)
      throws SQLException {
    Savepoint before = tx.connection().setSavepoint();
    boolean neverActed = barrier.claim(command, Direction.ACTION, Barrier.REFUSED);
    Entry action = barrier.find(command, Direction.ACTION);
    boolean nothingToUndo =
        neverActed || action == null || !action.outcome().equals(Barrier.SUCCESS);
    if (!barrier.claim(command, Direction.COMPENSATION, Barrier.SUCCESS)) {
      Entry known = barrier.find(command, Direction.COMPENSATION);
      return known == null ? null : repeat(command, known);
    }
    return nothingToUndo
        ? reply(command, StepOutcome.SUCCESS, "Nothing was done", 0, NOTHING)
        : handle(tx, barrier, command, before);
  }

  private static @Nullable StepReply cancel(Barrier barrier, StepCommand command)
      throws SQLException {
    if (barrier.claim(command, Direction.ACTION, Barrier.CANCELLED)) {
      return reply(command, StepOutcome.CANCELLED, "Cancelled before it began", 0, NOTHING);
    }
    Entry known = barrier.find(command, Direction.ACTION);
    if (known == null) {
      return null;
    }
    return switch (known.outcome()) {
      case Barrier.SUCCESS, Barrier.FAILURE -> repeat(command, known);
      default -> reply(command, StepOutcome.CANCELLED, "Cancelled", 0, NOTHING);
    };
  }

  private StepReply handle(
      OutboxTransaction tx, Barrier barrier, StepCommand command, Savepoint before)
      throws SQLException {
    Savepoint claimed = tx.connection().setSavepoint();
    Answer answer = answer(tx, command);
    if (answer instanceof Answer.Success success) {
      try {
        byte[] payload = payload(success);
        if (payload.length > 0) {
          barrier.finish(command, command.getDirection(), Barrier.SUCCESS, "", payload);
        }
        return reply(command, StepOutcome.SUCCESS, "", 0, payload);
      } catch (SchemaException e) {
        // nobody could ever read it: a failure, which undoes what the handler wrote
        answer =
            Answer.failure(
                "Participant '%s': answer to step '%s' cannot be sent: %s"
                    .formatted(participant.ref().name(), command.getStep(), e.getMessage()));
      }
    }
    if (answer instanceof Answer.Failure failure && command.getDirection() == Direction.ACTION) {
      tx.connection().rollback(claimed);
      barrier.finish(command, Direction.ACTION, Barrier.FAILURE, failure.reason(), NOTHING);
      return reply(command, StepOutcome.FAILURE, failure.reason(), 0, NOTHING);
    }
    // no final answer: the claim goes, so that the next attempt finds the way free
    tx.connection().rollback(before);
    if (answer instanceof Answer.Failure failure) {
      // a compensation that says no parks the saga; an operator's retry must find the way free
      return reply(command, StepOutcome.FAILURE, failure.reason(), 0, NOTHING);
    }
    if (answer instanceof Answer.StaleToken stale) {
      return reply(command, StepOutcome.STALE_TOKEN, stale.reason(), 0, NOTHING);
    }
    Answer.Retry retry = (Answer.Retry) answer;
    return reply(command, StepOutcome.RETRY, retry.reason(), retry.after().toMillis(), NOTHING);
  }

  private byte[] payload(Answer.Success success) {
    if (success.payload() == null) {
      return NOTHING;
    }
    byte[] payload = Payloads.array(payloads.encode(success.payload()));
    if (payload.length > PAYLOAD_LIMIT) {
      throw new SchemaException(
          "it has over %d bytes; answer with a reference".formatted(PAYLOAD_LIMIT));
    }
    return payload;
  }

  private Answer answer(OutboxTransaction tx, StepCommand command) {
    Object payload;
    try {
      payload = payloads.decode(command.getPayload());
    } catch (SchemaException e) {
      return Answer.failure(
          "Participant '%s' cannot read the command: %s"
              .formatted(participant.ref().name(), e.getMessage()));
    }
    Participant.Handler<Object> handler = participant.handler(payload.getClass());
    if (handler == null) {
      return Answer.failure(
          "Participant '%s' has no handler for %s"
              .formatted(participant.ref().name(), payload.getClass().getSimpleName()));
    }
    try {
      Answer answer =
          handler.handle(
              new StepContext(
                  tx,
                  command.getSagaId(),
                  command.getStep(),
                  command.getAttempt(),
                  tokens(command)),
              payload);
      return Objects.requireNonNull(
          answer, () -> "handler of " + payload.getClass().getName() + " answered null");
    } catch (Throwable e) {
      // unknown: neither a business failure nor tried again hot
      LOG.warn(
          "Participant '{}': saga {}, step '{}', attempt {} failed",
          participant.ref().name(),
          command.getSagaId(),
          command.getStep(),
          command.getAttempt(),
          e);
      return Answer.retry(Duration.ZERO, e.toString());
    }
  }

  /** Asks for a command again that could not be done at all. */
  static StepReply retry(StepCommand command, Exception why) {
    return reply(command, StepOutcome.RETRY, why.toString(), 0, NOTHING);
  }

  private static Map<String, Long> tokens(StepCommand command) {
    Map<String, Long> tokens = new HashMap<>();
    for (Fence fence : command.getFences()) {
      fence.getKeys().forEach(key -> tokens.put(key, fence.getToken()));
    }
    return tokens;
  }

  private static @Nullable StepReply repeat(StepCommand command, Entry known) {
    return switch (known.outcome()) {
      case Barrier.SUCCESS ->
          withHash(reply(command, StepOutcome.SUCCESS, known.reason(), 0, known.payload()), known);
      case Barrier.FAILURE ->
          withHash(reply(command, StepOutcome.FAILURE, known.reason(), 0, known.payload()), known);
      default -> null;
    };
  }

  /** A repeat is answered with the hash of what took effect, not of what was asked now. */
  private static StepReply withHash(StepReply reply, Entry known) {
    return new StepReply(
        reply.getSagaId(),
        reply.getStep(),
        reply.getDirection(),
        reply.getAttempt(),
        reply.getOutcome(),
        known.contentHash(),
        reply.getReason(),
        reply.getRetryAfterMillis(),
        reply.getPayload());
  }

  private static StepReply reply(
      StepCommand command,
      StepOutcome outcome,
      String reason,
      long retryAfterMillis,
      byte[] payload) {
    return new StepReply(
        command.getSagaId(),
        command.getStep(),
        command.getDirection(),
        command.getAttempt(),
        outcome,
        command.getContentHash(),
        reason.length() > REASON_LIMIT ? reason.substring(0, REASON_LIMIT) : reason,
        retryAfterMillis,
        ByteBuffer.wrap(payload));
  }
}
