package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.Machine;
import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.LockRows.Due;
import dev.lockstep.lock.internal.engine.LockRows.RequestId;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import dev.lockstep.schema.state.LockKeyState;
import dev.lockstep.schema.state.LockRequestState;
import dev.lockstep.schema.state.LockSessionState;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Decides the locks of one partition. Pure.
 *
 * <p>All keys of a request take their places in all queues in one record, so every queue has the
 * same order among requests and no cycle of waiting can arise within a partition.
 */
public final class LockMachine implements Machine {

  /** Protocol and state types. */
  public static final SchemaCatalog CATALOG = LockSchemas.CATALOG.and(LockRows.CATALOG);

  private static final int NAME_LIMIT = 256;

  /** Whole numbers up to here are exact in every language, JavaScript included. */
  private static final long NUMBER_LIMIT = (1L << 53) - 1;

  @Override
  public void apply(Turn turn) throws RejectedInputException {
    LockTurn locks = new LockTurn(turn);
    locks.expire();
    Object input = turn.input();
    if (input instanceof Acquire acquire) {
      acquire(turn, locks, acquire);
    } else if (input instanceof Release release) {
      release(turn, locks, release);
    } else if (input instanceof Cancel cancel) {
      cancel(locks, cancel);
    } else if (input instanceof KeepAlive beat) {
      keepAlive(turn, locks, beat);
    } else if (input instanceof CloseSession close) {
      close(locks, close);
    } else if (input instanceof ForceRelease force) {
      force(locks, force);
    }
    locks.grant();
  }

  @Override
  public Deadlines deadlines(Store store) {
    Due first = new LockRows(store).firstDue();
    return first == null ? Deadlines.NONE : Deadlines.elapsed(first.at());
  }

  private static void acquire(Turn turn, LockTurn locks, Acquire acquire)
      throws RejectedInputException {
    requireAnswerable(turn, acquire.getReplyTo());
    requireName("owner", acquire.getOwner());
    RequestId id = new RequestId(acquire.getOwner(), acquire.getNumber());
    String fault = fault(turn, acquire);
    if (fault != null) {
      deny(turn, locks, acquire, fault);
      return;
    }
    LockSessionState session = null;
    if (acquire.getTtlMillis() > 0) {
      session = beat(turn, locks, acquire);
      if (session == null) {
        return;
      }
      if (acquire.getNumber() < session.getLowestUnanswered()) {
        return;
      }
    }
    LockRequestState known = locks.rows().request(id);
    if (known != null) {
      if (known.getOutcome() != null) {
        locks.reply(acquire.getReplyTo(), locks.acquireReply(id, known, "Answered again"));
      }
      return;
    }
    Refusal refusal = refusal(turn, locks, acquire);
    if (refusal != null) {
      LockRequestState ended = request(turn, acquire, 0, refusal.outcome(), true);
      if (session != null) {
        locks.rows().putRequest(id, ended);
      }
      locks.reply(acquire.getReplyTo(), locks.acquireReply(id, ended, refusal.reason()));
      return;
    }
    long wait = acquire.getWaitMillis();
    long deadline = wait < 0 ? Long.MAX_VALUE : locks.now() + Math.max(1, wait);
    locks.enter(id, request(turn, acquire, deadline, null, false));
  }

  /** Opens or prolongs the session; null when it is over, which is answered. */
  private static @Nullable LockSessionState beat(Turn turn, LockTurn locks, Acquire acquire) {
    String name = acquire.getOwner();
    LockSessionState session = locks.rows().session(name);
    if (session == null && acquire.getNumber() == 1) {
      LockSessionState opened =
          new LockSessionState(
              acquire.getTtlMillis(),
              locks.now() + acquire.getTtlMillis(),
              acquire.getLowestUnanswered(),
              false,
              acquire.getReplyTo());
      locks.rows().putSession(name, opened);
      locks.rows().putDue(opened.getExpiresAt(), LockTurn.SESSION, new RequestId(name, 0));
      return opened;
    }
    if (session == null || session.getEnded()) {
      // a late batch of a client that is gone must not revive its session
      locks.reply(
          acquire.getReplyTo(),
          new AcquireReply(
              name,
              acquire.getNumber(),
              AcquireOutcome.SESSION_EXPIRED,
              0L,
              turn.partition(),
              acquire.getKeys(),
              session == null
                  ? "Session is not known and this is not its first command; open a new one"
                  : "Session has ended; open a new one"));
      return null;
    }
    return prolong(locks, name, session, acquire.getLowestUnanswered());
  }

  private static LockSessionState prolong(
      LockTurn locks, String name, LockSessionState session, long lowestUnanswered) {
    long lowest = Math.max(session.getLowestUnanswered(), lowestUnanswered);
    for (RequestId id : locks.rows().requestsOf(name, session.getLowestUnanswered(), lowest)) {
      LockRequestState request = locks.rows().request(id);
      if (request != null && request.getOutcome() != null && !LockTurn.isHolding(request)) {
        locks.rows().deleteRequest(id);
      }
    }
    LockSessionState prolonged =
        new LockSessionState(
            session.getTtlMillis(),
            locks.now() + session.getTtlMillis(),
            lowest,
            false,
            session.getReplyTo());
    locks.rows().putSession(name, prolonged);
    return prolonged;
  }

  private static void release(Turn turn, LockTurn locks, Release release)
      throws RejectedInputException {
    requireAnswerable(turn, release.getReplyTo());
    RequestId id = new RequestId(release.getOwner(), release.getAcquire());
    LockSessionState session = locks.rows().session(release.getOwner());
    if (session != null && !session.getEnded()) {
      prolong(locks, release.getOwner(), session, release.getLowestUnanswered());
    }
    LockRequestState request = locks.rows().request(id);
    boolean current = request != null && request.getToken() == release.getToken();
    if (current && LockTurn.isHolding(Objects.requireNonNull(request))) {
      locks.release(id, request, ReleaseCause.RELEASED);
    }
    locks.reply(
        release.getReplyTo(), new ReleaseReply(release.getOwner(), release.getNumber(), current));
  }

  private static void cancel(LockTurn locks, Cancel cancel) {
    RequestId id = new RequestId(cancel.getOwner(), cancel.getAcquire());
    LockRequestState request = locks.rows().request(id);
    if (request == null) {
      return;
    }
    if (request.getOutcome() == null) {
      locks.end(id, request, AcquireOutcome.CANCELLED, "Cancelled");
    } else if (LockTurn.isHolding(request)) {
      locks.release(id, request, ReleaseCause.CANCELLED);
    }
  }

  private static void keepAlive(Turn turn, LockTurn locks, KeepAlive beat)
      throws RejectedInputException {
    requireAnswerable(turn, beat.getReplyTo());
    LockSessionState session = locks.rows().session(beat.getSession());
    if (session == null || session.getEnded()) {
      locks.reply(beat.getReplyTo(), new SessionExpired(beat.getSession(), turn.partition()));
      return;
    }
    prolong(locks, beat.getSession(), session, session.getLowestUnanswered());
    locks.reply(
        beat.getReplyTo(), new SessionOk(beat.getSession(), turn.partition(), beat.getBeat()));
  }

  private static void close(LockTurn locks, CloseSession close) {
    LockSessionState session = locks.rows().session(close.getSession());
    if (session != null && !session.getEnded()) {
      locks.endSession(close.getSession(), session, ReleaseCause.SESSION_CLOSED);
    }
  }

  private static void force(LockTurn locks, ForceRelease force) throws RejectedInputException {
    if (force.getPrincipal().isBlank() || force.getReason().isBlank()) {
      throw new RejectedInputException("ForceRelease needs a principal and a reason");
    }
    LockKeyState state = locks.rows().key(force.getKey());
    if (state == null || state.getToken() != force.getToken() || state.getToken() == 0) {
      throw new RejectedInputException(
          "Key '%s' is not held under token %d".formatted(force.getKey(), force.getToken()));
    }
    locks.force(force.getKey(), state, force.getPrincipal() + ": " + force.getReason());
  }

  private static void deny(Turn turn, LockTurn locks, Acquire acquire, String reason) {
    locks.reply(
        acquire.getReplyTo(),
        new AcquireReply(
            acquire.getOwner(),
            acquire.getNumber(),
            AcquireOutcome.DENIED,
            0L,
            turn.partition(),
            acquire.getKeys().size() > 16 ? List.of() : acquire.getKeys(),
            reason));
  }

  private static @Nullable String fault(Turn turn, Acquire acquire) {
    List<String> keys = acquire.getKeys();
    long most = turn.limit("lock.keys.per.request", 1_000);
    long shortest = 10L * turn.layout().getTickMillis();
    long longest = turn.limit("lock.ttl.max.ms", 3_600_000);
    if (acquire.getNumber() < 1 || acquire.getNumber() > NUMBER_LIMIT) {
      return "Number must be 1 to %d, is %d".formatted(NUMBER_LIMIT, acquire.getNumber());
    }
    if (acquire.getLowestUnanswered() > acquire.getNumber()) {
      return "Lowest unanswered number is %d, above this one, which is %d"
          .formatted(acquire.getLowestUnanswered(), acquire.getNumber());
    }
    if (acquire.getTtlMillis() != 0
        && (acquire.getTtlMillis() < shortest || acquire.getTtlMillis() > longest)) {
      return "Time to live must be 10 ticks (%d ms) to %d ms, is %d ms"
          .formatted(shortest, longest, acquire.getTtlMillis());
    }
    if (keys.isEmpty() || keys.size() > most) {
      return "A request has 1 to %d keys, this one has %d".formatted(most, keys.size());
    }
    if (!keys.equals(keys.stream().sorted().distinct().toList())) {
      return "Keys must be sorted and each named once";
    }
    for (String key : keys) {
      if (key.isEmpty() || key.length() > NAME_LIMIT || key.indexOf('\0') >= 0) {
        return "A key has 1 to %d characters and no NUL, one has %d"
            .formatted(NAME_LIMIT, key.length());
      }
      int home = Partitions.of(key, turn.layout().getPartitions());
      if (home != turn.partition()) {
        return "Key '%s' lives in partition %d, was asked for in %d"
            .formatted(key, home, turn.partition());
      }
    }
    return null;
  }

  /** Why a well-formed request does not even wait. */
  private record Refusal(AcquireOutcome outcome, String reason) {}

  private static @Nullable Refusal refusal(Turn turn, LockTurn locks, Acquire acquire) {
    long limit = turn.limit("lock.queue.max", 100_000);
    for (String key : acquire.getKeys()) {
      LockKeyState state = locks.rows().key(key);
      if (state == null) {
        continue;
      }
      if (acquire.getWaitMillis() == 0) {
        return new Refusal(
            AcquireOutcome.TIMED_OUT,
            "Key '%s' is held by '%s' under token %d, %d wait"
                .formatted(key, state.getOwner(), state.getToken(), state.getWaiting()));
      }
      if (state.getWaiting() >= limit) {
        return new Refusal(
            AcquireOutcome.DENIED,
            "Queue of key '%s' is full: %d wait; try again later"
                .formatted(key, state.getWaiting()));
      }
    }
    return null;
  }

  private static LockRequestState request(
      Turn turn,
      Acquire acquire,
      long deadline,
      @Nullable AcquireOutcome outcome,
      boolean released) {
    return new LockRequestState(
        turn.offset(), acquire.getKeys(), 0, deadline, 0L, outcome, released, acquire.getReplyTo());
  }

  private static void requireAnswerable(Turn turn, ReplyTo to) throws RejectedInputException {
    if (to.getTopic().isEmpty()) {
      return;
    }
    for (Destination destination : turn.layout().getDestinations()) {
      if (destination.getTopic().equals(to.getTopic())) {
        if (to.getPartition() >= destination.getPartitions()) {
          throw new RejectedInputException(
              "Reply partition %d of '%s' does not exist: the Layout gives it %d"
                  .formatted(to.getPartition(), to.getTopic(), destination.getPartitions()));
        }
        return;
      }
    }
    throw new RejectedInputException(
        "Reply topic '%s' is not a destination of the Layout".formatted(to.getTopic()));
  }

  private static void requireName(String what, String name) throws RejectedInputException {
    if (name.isEmpty() || name.length() > NAME_LIMIT || name.indexOf('\0') >= 0) {
      throw new RejectedInputException(
          "%s must have 1 to %d characters and no NUL, has %d"
              .formatted(what, NAME_LIMIT, name.length()));
    }
  }
}
