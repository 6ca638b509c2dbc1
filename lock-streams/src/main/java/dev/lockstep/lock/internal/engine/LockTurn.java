package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.LockRows.Due;
import dev.lockstep.lock.internal.engine.LockRows.RequestId;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.state.LockKeyState;
import dev.lockstep.schema.state.LockRequestState;
import dev.lockstep.schema.state.LockSessionState;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * What one record does to the locks of a partition.
 *
 * <p>Ordering: first everything that is due, then the command, then grants. A key gets at most one
 * grant per record, because the token is the record's offset (execution L1 of the kernel review:
 * expire, grant, expire, grant within one tick would give two holders one token).
 */
final class LockTurn {

  static final char SESSION = 's';
  static final char WAIT = 'w';
  static final char TOMBSTONE = 't';
  static final ReplyTo NOBODY = new ReplyTo("", -1, "");

  private static final int EPOCH_SHIFT = 47;
  private static final String FREE = "";

  private final Turn turn;
  private final LockRows rows;
  private final String events;
  private final LinkedHashSet<String> freed = new LinkedHashSet<>();
  private final LinkedHashSet<RequestId> ready = new LinkedHashSet<>();
  private final Set<String> granted = new HashSet<>();

  LockTurn(Turn turn) {
    this.turn = turn;
    this.rows = new LockRows(turn.store());
    String input = turn.layout().getTopic();
    this.events =
        input.substring(0, input.length() - LockSchemas.COMMANDS.length()) + LockSchemas.EVENTS;
  }

  LockRows rows() {
    return rows;
  }

  long now() {
    return turn.now().elapsed();
  }

  /** Does what is due, at most as much as the Layout allows for one record. */
  void expire() {
    long left = turn.limit("lock.due.per.record", 1_000);
    for (Due due = rows.firstDue();
        due != null && due.at() <= now() && left > 0;
        due = rows.firstDue(), left--) {
      rows.delete(due);
      switch (due.kind()) {
        case SESSION -> sessionDue(due.id().owner());
        case WAIT -> waitDue(due.id());
        default -> forget(due.id().owner());
      }
    }
  }

  /** Reserves free keys for a request and lines it up for the others. */
  void enter(RequestId id, LockRequestState request) {
    int missing = 0;
    for (String key : request.getKeys()) {
      LockKeyState state = rows.key(key);
      if (state == null) {
        rows.putKey(key, new LockKeyState(id.owner(), id.number(), 0L, 0L));
      } else {
        missing++;
        rows.enqueue(key, request.getOrder(), id);
        rows.putKey(
            key,
            new LockKeyState(
                state.getOwner(), state.getNumber(), state.getToken(), state.getWaiting() + 1));
      }
    }
    rows.putRequest(id, withMissing(request, missing));
    if (missing == 0) {
      ready.add(id);
    } else if (request.getDeadline() != Long.MAX_VALUE) {
      rows.putDue(request.getDeadline(), WAIT, id);
    }
  }

  /** Ends a request that was not granted, and answers it. */
  void end(RequestId id, LockRequestState request, AcquireOutcome outcome, String reason) {
    leave(id, request);
    ready.remove(id);
    LockRequestState ended = ended(request, outcome);
    keepAnswer(id, ended);
    reply(request.getReplyTo(), acquireReply(id, ended, reason));
  }

  /** Frees what a request was granted; keys that were taken from it before stay as they are. */
  void release(RequestId id, LockRequestState request, ReleaseCause cause) {
    for (String key : request.getKeys()) {
      LockKeyState state = rows.key(key);
      if (state != null && isHeldBy(state, id) && state.getToken() == request.getToken()) {
        free(key, state);
        announceReleased(key, id.owner(), request.getToken(), cause, "");
      }
    }
    keepAnswer(id, released(request));
  }

  /** Takes one key from its holder, and tells it; its request keeps the other keys. */
  void force(String key, LockKeyState state, String by) {
    free(key, state);
    announceReleased(key, state.getOwner(), state.getToken(), ReleaseCause.FORCED, by);
    RequestId id = new RequestId(state.getOwner(), state.getNumber());
    LockRequestState request = rows.request(id);
    if (request != null) {
      reply(
          request.getReplyTo(),
          new ForceReleased(id.owner(), id.number(), turn.partition(), key, state.getToken(), by));
    }
  }

  /** Ends a session: everything that it holds is freed, everything that it waits for ends. */
  void endSession(String session, LockSessionState state, ReleaseCause cause) {
    for (RequestId id : rows.requestsOf(session)) {
      LockRequestState request = rows.request(id);
      if (request == null) {
        continue;
      }
      if (request.getOutcome() == null) {
        end(id, request, AcquireOutcome.SESSION_EXPIRED, "The session ended: " + cause);
      } else if (isHolding(request)) {
        release(id, request, cause);
      }
    }
    rows.deleteDue(state.getExpiresAt(), SESSION, new RequestId(session, 0));
    long until = now() + turn.limit("lock.tombstone.ms", 120_000);
    rows.putSession(
        session,
        new LockSessionState(
            state.getTtlMillis(), until, state.getLowestUnanswered(), true, state.getReplyTo()));
    rows.putDue(until, TOMBSTONE, new RequestId(session, 0));
    reply(state.getReplyTo(), new SessionExpired(session, turn.partition()));
  }

  /** Grants what can be granted; called once, last. */
  void grant() {
    Deque<String> open = new ArrayDeque<>(freed.stream().sorted().toList());
    freed.clear();
    while (!open.isEmpty()) {
      String key = open.poll();
      serve(key);
      // a dead waiter that was found on the way may have freed other keys
      open.addAll(freed.stream().sorted().toList());
      freed.clear();
    }
    for (RequestId id : ready) {
      grant(id);
    }
  }

  static boolean isHolding(LockRequestState request) {
    return request.getOutcome() == AcquireOutcome.GRANTED && !request.getReleased();
  }

  AcquireReply acquireReply(RequestId id, LockRequestState request, String reason) {
    return new AcquireReply(
        id.owner(),
        id.number(),
        request.getOutcome(),
        request.getToken(),
        turn.partition(),
        request.getKeys(),
        reason);
  }

  /** Answers; where to was checked when the request came, so a refusal means a changed Layout. */
  void reply(ReplyTo to, Object answer) {
    if (to.getTopic().isEmpty()) {
      return;
    }
    try {
      if (to.getPartition() < 0) {
        turn.effects().send(to.getTopic(), to.getKey(), answer);
      } else {
        turn.effects().send(to.getTopic(), to.getPartition(), to.getKey(), answer);
      }
    } catch (EffectRefusedException e) {
      // nobody can be told any more; the client asks again and is denied
      return;
    }
  }

  private void sessionDue(String session) {
    LockSessionState state = rows.session(session);
    if (state == null || state.getEnded()) {
      return;
    }
    if (state.getExpiresAt() > now()) {
      // beats only move the row's time; the due row follows when it comes up
      rows.putDue(state.getExpiresAt(), SESSION, new RequestId(session, 0));
    } else {
      endSession(session, state, ReleaseCause.EXPIRED);
    }
  }

  private void waitDue(RequestId id) {
    LockRequestState request = rows.request(id);
    if (request != null && request.getOutcome() == null) {
      end(id, request, AcquireOutcome.TIMED_OUT, "Not granted within the wait");
    }
  }

  private void forget(String session) {
    for (RequestId id : rows.requestsOf(session)) {
      rows.deleteRequest(id);
    }
    rows.deleteSession(session);
  }

  private void serve(String key) {
    while (true) {
      LockKeyState state = rows.key(key);
      if (state == null || !state.getOwner().equals(FREE)) {
        return;
      }
      RequestId id = rows.head(key);
      if (id == null) {
        rows.deleteKey(key);
        return;
      }
      LockRequestState request = rows.request(id);
      if (request == null) {
        throw new IllegalStateException("Queue of '" + key + "' names " + id + ", which is gone");
      }
      if (isDead(id, request)) {
        continue;
      }
      rows.dequeue(key, request.getOrder());
      rows.putKey(key, new LockKeyState(id.owner(), id.number(), 0L, state.getWaiting() - 1));
      LockRequestState nearer = withMissing(request, request.getMissing() - 1);
      rows.putRequest(id, nearer);
      if (nearer.getMissing() == 0) {
        ready.add(id);
      }
      return;
    }
  }

  /** With due work left over from this record, a waiter may be dead and not yet be known to be. */
  private boolean isDead(RequestId id, LockRequestState request) {
    if (request.getDeadline() <= now()) {
      end(id, request, AcquireOutcome.TIMED_OUT, "Not granted within the wait");
      return true;
    }
    LockSessionState session = rows.session(id.owner());
    if (session != null && !session.getEnded() && session.getExpiresAt() <= now()) {
      endSession(id.owner(), session, ReleaseCause.EXPIRED);
      return true;
    }
    return false;
  }

  private void grant(RequestId id) {
    LockRequestState request = rows.request(id);
    if (request == null || request.getOutcome() != null) {
      return;
    }
    long token = ((long) turn.layout().getTopicEpoch() << EPOCH_SHIFT) | turn.offset();
    if (request.getDeadline() != Long.MAX_VALUE) {
      rows.deleteDue(request.getDeadline(), WAIT, id);
    }
    for (String key : request.getKeys()) {
      if (!granted.add(key)) {
        throw new IllegalStateException(
            "Key '%s' would be granted twice at offset %d".formatted(key, turn.offset()));
      }
      LockKeyState state = rows.key(key);
      rows.putKey(
          key,
          new LockKeyState(
              id.owner(), id.number(), token, state == null ? 0L : state.getWaiting()));
      announce(key, new Granted(key, id.owner(), id.number(), token));
    }
    LockRequestState held =
        new LockRequestState(
            request.getOrder(),
            request.getKeys(),
            0,
            request.getDeadline(),
            token,
            AcquireOutcome.GRANTED,
            false,
            request.getReplyTo());
    rows.putRequest(id, held);
    reply(request.getReplyTo(), acquireReply(id, held, ""));
  }

  private void leave(RequestId id, LockRequestState request) {
    if (request.getDeadline() != Long.MAX_VALUE) {
      rows.deleteDue(request.getDeadline(), WAIT, id);
    }
    for (String key : request.getKeys()) {
      LockKeyState state = rows.key(key);
      if (state == null) {
        continue;
      }
      if (isHeldBy(state, id)) {
        free(key, state);
      } else {
        rows.dequeue(key, request.getOrder());
        LockKeyState shorter =
            new LockKeyState(
                state.getOwner(), state.getNumber(), state.getToken(), state.getWaiting() - 1);
        if (shorter.getWaiting() == 0 && shorter.getOwner().equals(FREE)) {
          rows.deleteKey(key);
        } else {
          rows.putKey(key, shorter);
        }
      }
    }
  }

  private void free(String key, LockKeyState state) {
    if (state.getWaiting() == 0) {
      rows.deleteKey(key);
    } else {
      rows.putKey(key, new LockKeyState(FREE, 0L, 0L, state.getWaiting()));
      freed.add(key);
    }
  }

  /** Keeps an answer for repeats of the command, as long as the client may still repeat it. */
  private void keepAnswer(RequestId id, LockRequestState request) {
    LockSessionState session = rows.session(id.owner());
    boolean wanted =
        session != null && (id.number() >= session.getLowestUnanswered() || isHolding(request));
    if (wanted) {
      rows.putRequest(id, request);
    } else {
      rows.deleteRequest(id);
    }
  }

  private void announceReleased(
      String key, String owner, long token, ReleaseCause cause, String by) {
    announce(key, new Released(key, owner, token, cause, by));
  }

  private void announce(String key, Object event) {
    try {
      turn.effects().send(events, key, event);
    } catch (EffectRefusedException e) {
      throw new IllegalStateException("Lock event for '" + key + "' is refused", e);
    }
  }

  private static boolean isHeldBy(@Nullable LockKeyState state, RequestId id) {
    return state != null && state.getOwner().equals(id.owner()) && state.getNumber() == id.number();
  }

  private static LockRequestState withMissing(LockRequestState request, int missing) {
    return new LockRequestState(
        request.getOrder(),
        request.getKeys(),
        missing,
        request.getDeadline(),
        request.getToken(),
        request.getOutcome(),
        request.getReleased(),
        request.getReplyTo());
  }

  private static LockRequestState ended(LockRequestState request, AcquireOutcome outcome) {
    return new LockRequestState(
        request.getOrder(),
        request.getKeys(),
        0,
        request.getDeadline(),
        0L,
        outcome,
        true,
        request.getReplyTo());
  }

  private static LockRequestState released(LockRequestState request) {
    return new LockRequestState(
        request.getOrder(),
        request.getKeys(),
        0,
        request.getDeadline(),
        request.getToken(),
        request.getOutcome(),
        true,
        request.getReplyTo());
  }
}
