package dev.lockstep.lock.internal.engine;

import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquirePart;
import dev.lockstep.schema.lock.GrantedPart;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.state.LockRequestState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** One Acquire, as a turn works on it. */
final class Request {

  /** Deadline of a request that waits without end. */
  static final long NEVER = Long.MAX_VALUE;

  static final int HIGHEST_PRIORITY = 9;

  final RequestId id;
  final long order;
  final List<String> keys;
  final int capacity;
  int permits;
  final int priority;
  final long deadline;
  final long delayMillis;
  final String onBehalfOf;
  final String task;
  final long ttlMillis;
  final List<AcquirePart> rest;
  final List<GrantedPart> earlier;
  final ReplyTo replyTo;

  int missing;
  long token;
  @Nullable AcquireOutcome outcome;
  boolean released;

  private Request(
      RequestId id,
      long order,
      List<String> keys,
      int capacity,
      int permits,
      int priority,
      long deadline,
      long delayMillis,
      String onBehalfOf,
      String task,
      long ttlMillis,
      List<AcquirePart> rest,
      List<GrantedPart> earlier,
      ReplyTo replyTo) {
    this.id = id;
    this.order = order;
    this.keys = keys;
    this.capacity = capacity;
    this.permits = permits;
    this.priority = priority;
    this.deadline = deadline;
    this.delayMillis = delayMillis;
    this.onBehalfOf = onBehalfOf;
    this.task = task;
    this.ttlMillis = ttlMillis;
    this.rest = rest;
    this.earlier = earlier;
    this.replyTo = replyTo;
  }

  /** A command that has just come, in a form that {@link AcquireRules} allows. */
  static Request of(Acquire acquire, long offset, long now) {
    long wait = acquire.getWaitMillis();
    return new Request(
        new RequestId(acquire.getOwner(), acquire.getNumber()),
        offset,
        acquire.getKeys(),
        capacity(acquire),
        permits(acquire),
        acquire.getPriority(),
        wait < 0 || wait > NEVER - now ? NEVER : now + wait,
        acquire.getDelayMillis(),
        acquire.getOnBehalfOf(),
        acquire.getTask(),
        acquire.getTtlMillis(),
        acquire.getRest(),
        acquire.getEarlier(),
        acquire.getReplyTo());
  }

  /** One that its client gave up before it came. */
  static Request cancelled(RequestId id, long offset) {
    Request request = unanswered(id, offset, List.of(), "");
    request.end(AcquireOutcome.CANCELLED);
    return request;
  }

  /** An exclusive one without a time to live that nobody hears about. */
  static Request unanswered(RequestId id, long offset, List<String> keys, String onBehalfOf) {
    return new Request(
        id,
        offset,
        keys,
        Key.LOCK,
        Key.LOCK,
        0,
        NEVER,
        0,
        onBehalfOf,
        "",
        0,
        List.of(),
        List.of(),
        new ReplyTo("", -1, "", false));
  }

  static Request of(RequestId id, LockRequestState stored) {
    Request request =
        new Request(
            id,
            stored.getOrder(),
            stored.getKeys(),
            stored.getCapacity(),
            stored.getPermits(),
            stored.getPriority(),
            stored.getDeadline(),
            stored.getDelayMillis(),
            stored.getOnBehalfOf(),
            stored.getTask(),
            stored.getTtlMillis(),
            stored.getRest(),
            stored.getEarlier(),
            stored.getReplyTo());
    request.missing = stored.getMissing();
    request.token = stored.getToken();
    request.outcome = stored.getOutcome();
    request.released = stored.getReleased();
    return request;
  }

  LockRequestState stored() {
    return new LockRequestState(
        order,
        keys,
        capacity,
        permits,
        priority,
        missing,
        deadline,
        delayMillis,
        onBehalfOf,
        task,
        token,
        outcome,
        released,
        ttlMillis,
        rest,
        earlier,
        replyTo);
  }

  static int capacity(Acquire acquire) {
    return acquire.getMode() == LockMode.PERMITS ? acquire.getCapacity() : Key.LOCK;
  }

  static int permits(Acquire acquire) {
    return switch (acquire.getMode()) {
      case EXCLUSIVE -> Key.LOCK;
      case SHARED -> 1;
      case PERMITS -> acquire.getPermits();
    };
  }

  LockMode mode() {
    if (capacity != Key.LOCK) {
      return LockMode.PERMITS;
    }
    return permits == Key.LOCK ? LockMode.EXCLUSIVE : LockMode.SHARED;
  }

  /** Takes all permits of its keys: kept in the row of the key itself. */
  boolean isExclusive() {
    return permits == capacity;
  }

  /** One that does not wait is decided by the record that brings it. */
  boolean isTrying(long now) {
    return deadline <= now;
  }

  boolean isWaiting() {
    return outcome == null;
  }

  boolean isHolding() {
    return outcome == AcquireOutcome.GRANTED && !released;
  }

  void end(AcquireOutcome how) {
    missing = 0;
    token = 0;
    outcome = how;
    released = true;
  }

  /** Whom people would ask about it. */
  String named() {
    return onBehalfOf.isEmpty() ? id.owner() : onBehalfOf;
  }
}
