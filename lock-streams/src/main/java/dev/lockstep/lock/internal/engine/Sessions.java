package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.Answers.Reason;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.state.LockSessionState;
import org.jspecify.annotations.Nullable;

/**
 * Owners that must be heard from. An ended session stays as a tombstone for a while, so that a late
 * batch of a client that is gone does not revive it (execution L2 of the kernel review).
 */
final class Sessions {

  private final Turn turn;
  private final LockRows rows;
  private final Requests requests;
  private final Answers answers;

  Sessions(Turn turn, LockRows rows, Requests requests, Answers answers) {
    this.turn = turn;
    this.rows = rows;
    this.requests = requests;
    this.answers = answers;
  }

  /** Returns a session that lives. */
  @Nullable LockSessionState living(String name) {
    LockSessionState session = rows.session(name);
    return session == null || session.getEnded() ? null : session;
  }

  boolean isKnown(String name) {
    return rows.session(name) != null;
  }

  LockSessionState open(String name, long ttlMillis, long lowestUnanswered, ReplyTo replyTo) {
    LockSessionState opened =
        new LockSessionState(ttlMillis, now() + ttlMillis, lowestUnanswered, false, replyTo);
    rows.putSession(name, opened);
    rows.putDue(opened.getExpiresAt(), Due.SESSION, new RequestId(name, 0));
    return opened;
  }

  /** Counts its time to live from now; answers below the number are not kept any longer. */
  LockSessionState prolong(String name, LockSessionState session, long lowestUnanswered) {
    long lowest = Math.max(session.getLowestUnanswered(), lowestUnanswered);
    for (RequestId id : rows.requestsOf(name, session.getLowestUnanswered(), lowest)) {
      Request request = rows.request(id);
      if (request != null && !request.isWaiting() && !request.isHolding()) {
        rows.deleteRequest(id);
      }
    }
    LockSessionState prolonged =
        new LockSessionState(
            session.getTtlMillis(),
            now() + session.getTtlMillis(),
            lowest,
            false,
            session.getReplyTo());
    rows.putSession(name, prolonged);
    return prolonged;
  }

  /** Frees everything that a session holds, and ends everything that it waits for. */
  void end(String name, LockSessionState session, ReleaseCause cause) {
    for (RequestId id : rows.requestsOf(name)) {
      Request request = rows.request(id);
      if (request == null) {
        continue;
      }
      if (request.isWaiting()) {
        requests.end(
            request, AcquireOutcome.SESSION_EXPIRED, Reason.of("The session ended: " + cause));
      } else if (request.isHolding()) {
        requests.release(request, cause);
      }
    }
    rows.deleteDue(session.getExpiresAt(), Due.SESSION, new RequestId(name, 0));
    long until = now() + turn.limit("lock.tombstone.ms", 120_000);
    rows.putSession(
        name,
        new LockSessionState(
            session.getTtlMillis(),
            until,
            session.getLowestUnanswered(),
            true,
            session.getReplyTo()));
    rows.putDue(until, Due.TOMBSTONE, new RequestId(name, 0));
    answers.reply(session.getReplyTo(), new SessionExpired(name, turn.partition()));
  }

  /** Its time to live may be over. */
  void due(String name) {
    LockSessionState session = living(name);
    if (session == null) {
      return;
    }
    if (session.getExpiresAt() > now()) {
      // beats only move the row's time; the due row follows when it comes up
      rows.putDue(session.getExpiresAt(), Due.SESSION, new RequestId(name, 0));
    } else {
      end(name, session, ReleaseCause.EXPIRED);
    }
  }

  /** Forgets an ended session, and the answers that were kept for it. */
  void forget(String name) {
    for (RequestId id : rows.requestsOf(name)) {
      rows.deleteRequest(id);
    }
    rows.deleteSession(name);
  }

  /**
   * Ends a waiting request whose time is over, or the session that it belongs to. With due work
   * left over from this record, a waiter may be dead and not yet be known to be.
   */
  boolean endIfDead(Request request) {
    if (request.deadline <= now()) {
      requests.end(
          request,
          AcquireOutcome.TIMED_OUT,
          requests.blocked(request, "Not granted within the wait"));
      return true;
    }
    LockSessionState session = living(request.id.owner());
    if (session != null && session.getExpiresAt() <= now()) {
      end(request.id.owner(), session, ReleaseCause.EXPIRED);
      return true;
    }
    return false;
  }

  private long now() {
    return turn.now().elapsed();
  }
}
