package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.EffectRefusedException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.Answers.Reason;
import dev.lockstep.lock.internal.engine.LockRows.Holder;
import dev.lockstep.lock.internal.engine.LockRows.Place;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.Downgraded;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.schema.state.LockSessionState;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The way of a request: into the queues of its keys, to its grant, to its end. What one record does
 * to requests is collected here; {@link HandOver} gives out what became free.
 *
 * <p>A request takes its places in the queues of all its keys in one record, and all queues have
 * one order, so no cycle of waiting can arise within a partition.
 */
final class Requests {

  private static final int EPOCH_SHIFT = 47;
  private static final int EVERYBODY = Integer.MAX_VALUE;

  private final Turn turn;
  private final LockRows rows;
  private final Answers answers;

  /** Keys whose next request may have its turn now. */
  private final LinkedHashSet<String> touched = new LinkedHashSet<>();

  /** Requests that all their keys are offered to. */
  private final LinkedHashSet<RequestId> ready = new LinkedHashSet<>();

  private final Set<String> grantedNow = new HashSet<>();
  private final Set<String> grantedExclusivelyNow = new HashSet<>();

  Requests(Turn turn, LockRows rows, Answers answers) {
    this.turn = turn;
    this.rows = rows;
    this.answers = answers;
  }

  /** Takes a place in the queue of each key; one whose turn it is at once is offered it. */
  void enter(Request request) {
    for (String name : request.keys) {
      Key known = rows.key(name);
      Key key = known == null ? opened(fresh(name, request.capacity)) : known;
      if (key.isOffered()) {
        Request other = require(key, key.party);
        if (other.priority < request.priority) {
          takeBack(key, other);
        }
      }
      if (key.fits(request.permits) && isFirst(key, request.priority)) {
        key.offer(request.id);
      } else {
        rows.enqueue(name, request);
        key.waiting++;
        request.missing++;
      }
      rows.put(key);
    }
    rows.put(request);
    if (request.missing == 0) {
      ready.add(request.id);
    } else if (request.deadline != Request.NEVER) {
      rows.putDue(request.deadline, Due.WAIT, request.id);
    }
  }

  /**
   * Returns a key that nobody uses. Holders whom the log of an earlier topic epoch granted a key
   * may believe in it for as long as their sessions had to live: so long it is kept free.
   */
  Key fresh(String name, int capacity) {
    Key key = new Key(name, capacity);
    if (turn.layout().getTopicEpoch() > 1) {
      long quiet = turn.limit("lock.quiet.ms", turn.limit("lock.ttl.max.ms", 3_600_000));
      key.closedUntil = turn.now().elapsed() < quiet ? quiet : 0;
    }
    return key;
  }

  /** Sees to it that a key which is kept free is given out when that is over. */
  private Key opened(Key key) {
    if (key.closedUntil > 0) {
      rows.putDue(key.closedUntil, Due.KEY, new RequestId(key.name, 0));
    }
    return key;
  }

  /**
   * Goes on with a lease of an earlier topic epoch.
   *
   * @return why it cannot; null: it does
   */
  @Nullable String adopt(Request request, long token) {
    if (token <= 0 || token >> EPOCH_SHIFT >= turn.layout().getTopicEpoch()) {
      return "Token %d is not of an epoch before %d"
          .formatted(token, turn.layout().getTopicEpoch());
    }
    for (String name : request.keys) {
      Key key = rows.key(name);
      boolean fits =
          key == null
              || (key.capacity == request.capacity
                  && key.party.equals(RequestId.NOBODY)
                  && request.permits <= key.capacity - key.taken);
      if (!fits) {
        return "Key '%s' is in use".formatted(name);
      }
    }
    for (String name : request.keys) {
      Key known = rows.key(name);
      Key key = known == null ? opened(fresh(name, request.capacity)) : known;
      hold(key, request, token);
      rows.put(key);
    }
    request.token = token;
    request.outcome = AcquireOutcome.GRANTED;
    rows.put(request);
    return null;
  }

  private void hold(Key key, Request request, long token) {
    if (request.isExclusive()) {
      key.takeExclusively(request.id, token);
    } else {
      key.withdraw();
      key.taken += request.permits;
      rows.putHolder(key.name, new Holder(request.id, request.permits, token));
    }
  }

  /** Tells whether nobody holds a key, waits for it or keeps it free. */
  boolean isUnused(String name) {
    return rows.key(name) == null && fresh(name, Key.LOCK).closedUntil == 0;
  }

  /** Grants a request whose key nobody uses within this record. */
  void grantAtOnce(Request request) {
    enter(request);
    ready.remove(request.id);
    grant(request);
  }

  /** Tells whether a request that came now would get a key at once. */
  boolean isFree(Key key, int permits, int priority) {
    return key.fits(permits) && isFirst(key, priority);
  }

  private boolean isFirst(Key key, int priority) {
    if (key.waiting == 0) {
      return true;
    }
    return LockRows.rank(priority) < rows.queue(key.name, 1).get(0).rank();
  }

  private void takeBack(Key key, Request other) {
    key.withdraw();
    rows.enqueue(key.name, other);
    key.waiting++;
    other.missing++;
    rows.put(other);
    ready.remove(other.id);
  }

  /** Ends a request that was not granted, and answers it. */
  void end(Request request, AcquireOutcome outcome, Reason reason) {
    for (String name : request.keys) {
      Key key = rows.key(name);
      if (key == null) {
        continue;
      }
      if (key.isOfferedTo(request.id)) {
        key.withdraw();
      } else {
        rows.dequeue(name, request);
        key.waiting--;
      }
      settle(key);
    }
    forgetDeadline(request);
    ready.remove(request.id);
    refuse(request, outcome, reason);
  }

  /** Ends a request that is in no queue, and answers it. */
  void refuse(Request request, AcquireOutcome outcome, Reason reason) {
    request.end(outcome);
    keepAnswer(request);
    answers.giveBack(request.earlier);
    answers.answer(request.replyTo, request, reason);
  }

  /** What stands in the way of a request that waits. */
  Reason blocked(Request request, String text) {
    for (String name : request.keys) {
      Key key = rows.key(name);
      if (key != null && !key.isOfferedTo(request.id)) {
        return inTheWay(key, request.id, text);
      }
    }
    return Reason.of(text);
  }

  /** Names the holder of a key, and how many wait before a request. */
  Reason inTheWay(Key key, RequestId self, String text) {
    int ahead = 0;
    for (Place place : rows.queue(key.name, 100)) {
      if (place.id().equals(self)) {
        break;
      }
      ahead++;
    }
    if (key.isExclusive()) {
      Request holder = rows.request(key.party);
      String named = holder == null ? key.party.owner() : holder.named();
      return new Reason(
          "%s: key '%s' is held by '%s' under token %d, %d wait before"
              .formatted(text, key.name, named, key.token, ahead),
          named,
          key.token,
          ahead,
          0);
    }
    String why =
        key.closedUntil > 0
            ? "is kept free for another %d ms (lock-delay)"
                .formatted(key.closedUntil - turn.now().elapsed())
            : key.capacity == Key.LOCK
                ? "is shared by %d".formatted(key.taken)
                : "has %d of %d permits taken".formatted(key.taken, key.capacity);
    return new Reason(
        "%s: key '%s' %s, %d wait before".formatted(text, key.name, why, ahead), "", 0, ahead, 0);
  }

  /** Frees what a request was granted; keys that were taken from it before stay as they are. */
  void release(Request request, ReleaseCause cause) {
    release(request, cause, 0);
  }

  /** Frees what a request was granted, and keeps it free for a while. */
  void release(Request request, ReleaseCause cause, long keepFreeMillis) {
    boolean orderly =
        cause == ReleaseCause.RELEASED
            || cause == ReleaseCause.CANCELLED
            || cause == ReleaseCause.SESSION_CLOSED;
    for (String name : request.keys) {
      Key key = rows.key(name);
      if (key != null && leaves(key, request.id, request.token)) {
        freed(key, orderly ? keepFreeMillis : request.delayMillis);
        announceReleased(name, request.id, request.token, cause, "");
      }
    }
    request.released = true;
    keepAnswer(request);
  }

  /** Takes a key from everybody who holds it under a token, and tells them. */
  void force(Key key, long token, String by) {
    for (RequestId id : holdersUnder(key, token)) {
      Request request = rows.request(id);
      leaves(key, id, token);
      freed(key, request == null ? 0 : request.delayMillis);
      announceReleased(key.name, id, token, ReleaseCause.FORCED, by);
      if (request != null && Latches.isLatch(id)) {
        rows.deleteRequest(id);
      } else if (request != null) {
        answers.reply(
            request.replyTo,
            new ForceReleased(id.owner(), id.number(), turn.partition(), key.name, token, by));
      }
    }
  }

  /** Returns who holds a key under a token. */
  List<RequestId> holdersUnder(Key key, long token) {
    if (key.isExclusive()) {
      return key.token == token ? List.of(key.party) : List.of();
    }
    return rows.holders(key.name, EVERYBODY).stream()
        .filter(holder -> holder.token() == token)
        .map(Holder::id)
        .toList();
  }

  /** Lets others share what a request holds alone. */
  void downgrade(Request request) {
    request.permits = 1;
    for (String name : request.keys) {
      Key key = rows.key(name);
      if (key != null && key.isHeldExclusivelyBy(request.id)) {
        key.leaveExclusively();
        key.taken = 1;
        rows.putHolder(name, new Holder(request.id, 1, request.token));
        settle(key);
        answers.announce(
            name, new Downgraded(name, request.id.owner(), request.id.number(), request.token));
      }
    }
    rows.put(request);
  }

  /** Returns why a shared grant cannot become exclusive; null: it can. */
  @Nullable String keepsShared(Request request) {
    for (String name : request.keys) {
      Key key = rows.key(name);
      if (key == null || rows.holder(name, request.id) == null) {
        return "Key '%s' was taken from it".formatted(name);
      }
      if (key.taken > 1) {
        return "Key '%s' is shared with %d more; two that wait for each other to leave would wait for ever: release it and acquire it exclusively"
            .formatted(name, key.taken - 1);
      }
    }
    return null;
  }

  /** Makes a shared grant exclusive; nobody else holds its keys. */
  void upgrade(Request request) {
    long token = tokenOfThisRecord();
    for (String name : request.keys) {
      Key key = Objects.requireNonNull(rows.key(name));
      if (key.isOffered()) {
        takeBack(key, require(key, key.party));
        rows.put(key);
      }
      rows.deleteHolder(name, request.id);
      announceReleased(name, request.id, request.token, ReleaseCause.UPGRADED, "");
    }
    request.permits = Key.LOCK;
    take(request, token);
    rows.put(request);
  }

  /** Ends the time for which a key was kept free. */
  void reopen(Key key) {
    key.closedUntil = 0;
    settle(key);
  }

  /** Offers a key to a request whose turn it is. */
  void offer(Key key, Request request) {
    rows.dequeue(key.name, request);
    key.waiting--;
    key.offer(request.id);
    rows.put(key);
    request.missing--;
    rows.put(request);
    if (request.missing == 0) {
      ready.add(request.id);
    }
  }

  /** A request that had all its keys when an earlier record had done enough. */
  void readyAgain(Request request) {
    if (request.missing == 0) {
      ready.add(request.id);
    }
  }

  /** Keys whose next request may have its turn; in order of insertion. */
  Set<String> touched() {
    return touched;
  }

  /** Requests that all their keys are offered to; in order of insertion. */
  Set<RequestId> ready() {
    return ready;
  }

  /** Grants a request that all its keys are offered to, and answers it or sends it on. */
  void grant(Request request) {
    forgetDeadline(request);
    take(request, tokenOfThisRecord());
    request.outcome = AcquireOutcome.GRANTED;
    rows.put(request);
    go(request);
  }

  /** Answers a granted request, or sends it on to where the rest of its keys is. */
  void go(Request request) {
    if (request.rest.isEmpty()) {
      answers.answer(request.replyTo, request, Reason.NONE);
      return;
    }
    try {
      answers.forward(request);
    } catch (EffectRefusedException e) {
      release(request, ReleaseCause.CANCELLED);
      refuse(request, AcquireOutcome.DENIED, Reason.of(String.valueOf(e.getMessage())));
    }
  }

  private void take(Request request, long token) {
    request.token = token;
    for (String name : request.keys) {
      Key key = Objects.requireNonNull(rows.key(name), name);
      boolean unique =
          request.isExclusive()
              ? grantedNow.add(name) && grantedExclusivelyNow.add(name)
              : grantedNow.add(name) || !grantedExclusivelyNow.contains(name);
      if (!unique) {
        throw new IllegalStateException(
            "Key '%s' would be granted twice under token %d".formatted(name, token));
      }
      hold(key, request, token);
      settle(key);
      answers.announce(
          name,
          new Granted(
              name,
              request.id.owner(),
              request.id.number(),
              token,
              request.mode(),
              request.capacity == Key.LOCK ? 0 : request.permits,
              request.capacity == Key.LOCK ? 0 : request.capacity,
              request.onBehalfOf));
    }
  }

  private long tokenOfThisRecord() {
    return ((long) turn.layout().getTopicEpoch() << EPOCH_SHIFT) | turn.offset();
  }

  /** Takes a holder from the key, if it is one under this token. */
  private boolean leaves(Key key, RequestId id, long token) {
    if (key.isHeldExclusivelyBy(id) && key.token == token) {
      key.leaveExclusively();
      if (Latches.isLatch(id)) {
        Latches.opened(turn, rows, key.name, token);
      }
      return true;
    }
    Holder holder = rows.holder(key.name, id);
    if (holder == null || holder.token() != token) {
      return false;
    }
    rows.deleteHolder(key.name, id);
    key.taken -= holder.permits();
    return true;
  }

  private void freed(Key key, long delayMillis) {
    long until = turn.now().elapsed() + delayMillis;
    if (delayMillis > 0 && until > key.closedUntil) {
      key.closedUntil = until;
      rows.putDue(until, Due.KEY, new RequestId(key.name, 0));
    }
    settle(key);
  }

  /** Writes a key that somebody left; the next one may have its turn. */
  private void settle(Key key) {
    rows.put(key);
    if (key.waiting > 0) {
      touched.add(key.name);
    }
  }

  private void forgetDeadline(Request request) {
    if (request.deadline != Request.NEVER) {
      rows.deleteDue(request.deadline, Due.WAIT, request.id);
    }
  }

  /** Keeps an answer for repeats of the command, as long as the client may still repeat it. */
  private void keepAnswer(Request request) {
    LockSessionState session = rows.session(request.id.owner());
    boolean wanted =
        session != null
            && (request.id.number() >= session.getLowestUnanswered() || request.isHolding());
    if (wanted) {
      rows.put(request);
    } else {
      rows.deleteRequest(request.id);
    }
  }

  private void announceReleased(
      String key, RequestId id, long token, ReleaseCause cause, String by) {
    answers.announce(key, new Released(key, id.owner(), id.number(), token, cause, by));
  }

  private Request require(Key key, RequestId id) {
    Request request = rows.request(id);
    if (request == null) {
      throw new IllegalStateException("Key '" + key.name + "' names " + id + ", which is gone");
    }
    return request;
  }
}
