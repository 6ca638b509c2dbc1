package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.Answers.Reason;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.kernel.OperatorOrder;
import dev.lockstep.schema.lock.AbortWait;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.AdoptedLease;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.ChangeMode;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.ForceRelease;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.Revoke;
import dev.lockstep.schema.lock.RevokeAsked;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import dev.lockstep.schema.state.LockLatchState;
import dev.lockstep.schema.state.LockRevocationState;
import dev.lockstep.schema.state.LockSessionState;
import org.jspecify.annotations.Nullable;

/** What one record does to the locks of a partition: one method per command. */
final class LockTurn {

  private final Turn turn;
  private final LockRows rows;
  private final Answers answers;
  private final Requests requests;
  private final Sessions sessions;

  LockTurn(Turn turn) {
    this.turn = turn;
    this.rows = new LockRows(turn.store());
    this.answers = new Answers(turn);
    this.requests = new Requests(turn, rows, answers);
    this.sessions = new Sessions(turn, rows, requests, answers);
  }

  /** Does what is due, at most as much as the Layout allows for one record. */
  void expire() {
    long left = turn.limit("lock.due.per.record", 1_000);
    for (Due due = rows.firstDue();
        due != null && due.at() <= now() && left > 0;
        due = rows.firstDue(), left--) {
      rows.delete(due);
      RequestId id = due.id();
      switch (due.kind()) {
        case Due.SESSION -> sessions.due(id.owner());
        case Due.TOMBSTONE -> sessions.forget(id.owner());
        case Due.WAIT -> waitIsOver(id);
        case Due.GRANT -> readyAgain(id);
        case Due.KEY -> reopen(id.owner());
        case Due.LATCH -> latches().forget(id.owner(), id.number());
        case Due.REVOCATION -> take(id.owner(), id.number());
        default -> throw new IllegalStateException("Nothing of kind '" + due.kind() + "' is due");
      }
    }
  }

  Latches latches() {
    return new Latches(turn, rows, requests, answers);
  }

  /** Gives out what became free; called last. */
  void handOver() {
    new HandOver(turn, rows, requests, sessions).run();
  }

  /** Writes what has changed. */
  void write() {
    rows.write();
  }

  void acquire(Acquire acquire) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, acquire.getReplyTo());
    AcquireRules.requireName("Owner", acquire.getOwner());
    Request request = Request.of(acquire, turn.offset(), now());
    String fault = AcquireRules.fault(turn, acquire);
    if (fault != null) {
      turnAway(request, AcquireOutcome.DENIED, fault);
      return;
    }
    if (acquire.getTtlMillis() > 0) {
      LockSessionState session = beat(acquire);
      if (session == null) {
        String why =
            sessions.isKnown(acquire.getOwner())
                ? "Session has ended; open a new one"
                : "Session is not known and this is not its first command; open a new one";
        turnAway(request, AcquireOutcome.SESSION_EXPIRED, why);
        return;
      }
      if (acquire.getNumber() < session.getLowestUnanswered()) {
        // its client has ended it
        answers.giveBack(acquire.getEarlier());
        return;
      }
    }
    Request known = rows.request(request.id);
    if (known != null) {
      repeated(acquire, known);
    } else if (!refused(request)) {
      requests.enter(request);
    }
  }

  /** Answers a request that is malformed or has no session; the answer is not kept. */
  private void turnAway(Request request, AcquireOutcome outcome, String why) {
    request.end(outcome);
    answers.giveBack(request.earlier);
    answers.answer(request.replyTo, request, Reason.of(why));
  }

  private @Nullable LockSessionState beat(Acquire acquire) {
    String name = acquire.getOwner();
    LockSessionState session = sessions.living(name);
    if (session != null) {
      return sessions.prolong(name, session, acquire.getLowestUnanswered());
    }
    return acquire.getNumber() == 1 && !sessions.isKnown(name)
        ? sessions.open(
            name, acquire.getTtlMillis(), acquire.getLowestUnanswered(), acquire.getReplyTo())
        : null;
  }

  private void repeated(Acquire acquire, Request known) {
    if (known.isHolding()) {
      requests.go(known);
    } else if (!known.isWaiting()) {
      answers.giveBack(acquire.getEarlier());
      answers.answer(acquire.getReplyTo(), known, Reason.of("Answered again"));
    }
  }

  /** Ends a well-formed request that is not even to wait. */
  private boolean refused(Request request) {
    long limit = turn.limit("lock.queue.max", 100_000);
    for (String name : request.keys) {
      Key known = rows.key(name);
      Key key = known == null ? requests.fresh(name, request.capacity) : known;
      if (key.capacity != request.capacity) {
        requests.refuse(
            request,
            AcquireOutcome.DENIED,
            Reason.of(
                "Key '%s' is in use as a %s, and cannot be a %s at the same time"
                    .formatted(name, kind(key.capacity), kind(request.capacity))));
        return true;
      }
      if (request.isTrying(now()) && !requests.isFree(key, request.permits, request.priority)) {
        requests.refuse(
            request, AcquireOutcome.TIMED_OUT, requests.inTheWay(key, request.id, "Not free"));
        return true;
      }
      if (key.waiting >= limit) {
        requests.refuse(
            request,
            AcquireOutcome.DENIED,
            new Reason(
                "Queue of key '%s' is full: %d wait".formatted(name, key.waiting),
                "",
                0,
                -1,
                turn.limit("lock.retry.after.ms", 1_000)));
        return true;
      }
    }
    return false;
  }

  private static String kind(int capacity) {
    return capacity == Key.LOCK ? "lock" : "semaphore of %d permits".formatted(capacity);
  }

  void release(Release release) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, release.getReplyTo());
    prolong(release.getOwner(), release.getLowestUnanswered());
    Request request = rows.request(new RequestId(release.getOwner(), release.getAcquire()));
    boolean current = request != null && request.token == release.getToken();
    if (request != null && current && request.isHolding()) {
      // cut, not refused: a release that is lost would keep the lock
      long longest = turn.limit("lock.delay.max.ms", 60_000);
      long keepFree = Math.max(0, Math.min(longest, release.getKeepFreeMillis()));
      requests.release(request, ReleaseCause.RELEASED, keepFree);
    }
    if (!current || !release.getQuiet()) {
      answers.reply(
          release.getReplyTo(), new ReleaseReply(release.getOwner(), release.getNumber(), current));
    }
  }

  void cancel(Cancel cancel) {
    RequestId id = new RequestId(cancel.getOwner(), cancel.getAcquire());
    Request request = rows.request(id);
    if (request == null) {
      LockSessionState session = sessions.living(id.owner());
      if (session != null && id.number() >= session.getLowestUnanswered()) {
        // it is still on its way here from another partition
        rows.put(Request.cancelled(id, turn.offset()));
      }
    } else if (request.isWaiting()) {
      requests.end(request, AcquireOutcome.CANCELLED, Reason.of("Cancelled"));
    } else if (request.isHolding()) {
      requests.release(request, ReleaseCause.CANCELLED);
    }
  }

  void keepAlive(KeepAlive beat) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, beat.getReplyTo());
    AcquireRules.requireName("Session", beat.getSession());
    String name = beat.getSession();
    LockSessionState session = sessions.living(name);
    if (session != null) {
      sessions.prolong(name, session, session.getLowestUnanswered());
    } else if (beat.getBeat() == 1 && !sessions.isKnown(name)) {
      String fault = AcquireRules.ttlFault(turn, beat.getTtlMillis());
      if (fault != null) {
        throw new RejectedInputException(fault);
      }
      sessions.open(name, beat.getTtlMillis(), 1, beat.getReplyTo());
    } else {
      answers.reply(beat.getReplyTo(), new SessionExpired(name, turn.partition()));
      return;
    }
    answers.reply(beat.getReplyTo(), new SessionOk(name, turn.partition(), beat.getBeat()));
  }

  void close(CloseSession close) {
    LockSessionState session = sessions.living(close.getSession());
    if (session != null) {
      sessions.end(close.getSession(), session, ReleaseCause.SESSION_CLOSED);
    }
  }

  void changeMode(ChangeMode change) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, change.getReplyTo());
    prolong(change.getOwner(), change.getLowestUnanswered());
    Request request = rows.request(new RequestId(change.getOwner(), change.getAcquire()));
    String refused = null;
    if (request == null || !request.isHolding()) {
      refused = "The lock is not held any more";
    } else if (request.capacity != Key.LOCK || change.getMode() == LockMode.PERMITS) {
      refused = "Only a lock is exclusive or shared, not a semaphore";
    } else if (request.mode() != change.getMode()) {
      refused = change(request, change.getMode());
    }
    answers.reply(
        change.getReplyTo(),
        new ModeReply(
            change.getOwner(),
            change.getNumber(),
            refused == null && request != null ? request.token : 0L,
            refused == null ? "" : refused));
  }

  private @Nullable String change(Request request, LockMode mode) {
    if (mode == LockMode.SHARED) {
      requests.downgrade(request);
      return null;
    }
    String refused = requests.keepsShared(request);
    if (refused == null) {
      requests.upgrade(request);
    }
    return refused;
  }

  void revoke(Revoke revoke) throws RejectedInputException {
    String by = ordered(revoke.getOrder());
    Key key = held(revoke.getKey(), revoke.getToken());
    long longest = turn.limit("lock.ttl.max.ms", 3_600_000);
    if (revoke.getGraceMillis() < -1 || revoke.getGraceMillis() > longest) {
      throw new RejectedInputException(
          "Grace must be -1 (only ask) to %d ms, is %d ms"
              .formatted(longest, revoke.getGraceMillis()));
    }
    if (revoke.getGraceMillis() >= 0) {
      rows.putRevocation(key.name, new LockRevocationState(revoke.getToken(), by));
      rows.putDue(
          now() + revoke.getGraceMillis(),
          Due.REVOCATION,
          new RequestId(key.name, revoke.getToken()));
    }
    for (RequestId id : requests.holdersUnder(key, revoke.getToken())) {
      RevokeAsked asked =
          new RevokeAsked(
              key.name,
              id.owner(),
              id.number(),
              turn.partition(),
              revoke.getToken(),
              by,
              revoke.getGraceMillis());
      answers.announce(key.name, asked);
      Request request = rows.request(id);
      if (request != null) {
        answers.reply(request.replyTo, asked);
      }
    }
  }

  void force(ForceRelease force) throws RejectedInputException {
    String by = ordered(force.getOrder());
    requests.force(held(force.getKey(), force.getToken()), force.getToken(), by);
  }

  void abort(AbortWait abort) throws RejectedInputException {
    ordered(abort.getOrder());
    Request request = rows.request(new RequestId(abort.getOwner(), abort.getAcquire()));
    if (request != null && request.isWaiting()) {
      requests.end(request, AcquireOutcome.DEADLOCK, Reason.of(abort.getOrder().getReason()));
    }
  }

  /** Goes on with what an earlier topic epoch left; guards know leases by their old tokens. */
  void adopt(Adopt adopt) throws RejectedInputException {
    String owner = adopt.getOwner();
    if (adopt.getTtlMillis() > 0 && !sessions.isKnown(owner)) {
      sessions.open(owner, adopt.getTtlMillis(), adopt.getLowestUnanswered(), adopt.getReplyTo());
    }
    AdoptedLease lease = adopt.getLease();
    if (lease == null) {
      return;
    }
    // bounds were those of the day when it was asked for; a lease that is refused here is lost
    String fault = AcquireRules.placeFault(turn, lease.getAcquire());
    if (fault == null) {
      Request request = Request.of(lease.getAcquire(), turn.offset(), now());
      fault =
          request.id.owner().equals(owner) && rows.request(request.id) == null
              ? adopted(request, lease)
              : "Lease is of '%s', or known".formatted(request.id.owner());
    }
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
  }

  private @Nullable String adopted(Request request, AdoptedLease lease) {
    String fault = requests.adopt(request, lease.getToken());
    if (fault == null && lease.getLatchCount() > 0) {
      String key = request.keys.get(0);
      rows.putLatch(key, new LockLatchState(lease.getLatchCount(), "", lease.getToken()));
      lease.getLatchIds().forEach(id -> rows.putCounted(key, id));
    }
    return fault;
  }

  private static String ordered(OperatorOrder order) throws RejectedInputException {
    String fault = OperatorOrders.fault(order);
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
    return OperatorOrders.told(order);
  }

  private Key held(String name, long token) throws RejectedInputException {
    Key key = rows.key(name);
    if (key == null || token == 0 || requests.holdersUnder(key, token).isEmpty()) {
      throw new RejectedInputException(
          "Key '%s' is not held under token %d".formatted(name, token));
    }
    return key;
  }

  private void waitIsOver(RequestId id) {
    Request request = rows.request(id);
    if (request != null && request.isWaiting()) {
      requests.end(
          request,
          AcquireOutcome.TIMED_OUT,
          requests.blocked(request, "Not granted within the wait"));
    }
  }

  private void readyAgain(RequestId id) {
    Request request = rows.request(id);
    if (request != null && request.isWaiting() && !sessions.endIfDead(request)) {
      requests.readyAgain(request);
    }
  }

  private void reopen(String name) {
    Key key = rows.key(name);
    if (key != null && key.closedUntil != 0 && key.closedUntil <= now()) {
      requests.reopen(key);
    }
  }

  private void take(String name, long token) {
    LockRevocationState revocation = rows.takeRevocation(name, token);
    Key key = rows.key(name);
    if (key != null && revocation != null) {
      requests.force(key, token, revocation.getBy());
    }
  }

  private void prolong(String owner, long lowestUnanswered) {
    LockSessionState session = sessions.living(owner);
    if (session != null) {
      sessions.prolong(owner, session, lowestUnanswered);
    }
  }

  private long now() {
    return turn.now().elapsed();
  }
}
