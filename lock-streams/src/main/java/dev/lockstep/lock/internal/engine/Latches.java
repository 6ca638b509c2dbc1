package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.ReleaseCause;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.lock.SetLatch;
import dev.lockstep.schema.state.LockLatchState;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keys that are closed until they are counted down. A closed latch holds its key alone, without a
 * session and without a time to live; who waits for it asks to share the key, so queues, time-outs
 * and sessions are those of any lock. Counting needs no session: each command has an id, which is
 * remembered for as long after the opening as a client may send it again.
 */
final class Latches {

  private static final long COUNT_LIMIT = 10_000;

  /** Of the requests that latches hold their keys by; their numbers are the offsets. */
  private static final String OWNER = "latch";

  private final Turn turn;
  private final LockRows rows;
  private final Requests requests;
  private final Answers answers;

  Latches(Turn turn, LockRows rows, Requests requests, Answers answers) {
    this.turn = turn;
    this.rows = rows;
    this.requests = requests;
    this.answers = answers;
  }

  /** Tells whether it is a latch that holds a key. */
  static boolean isLatch(RequestId id) {
    return id.owner().equals(OWNER);
  }

  void set(SetLatch set) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, set.getReplyTo());
    AcquireRules.requireName("Id", set.getId());
    String name = set.getKey();
    String fault = AcquireRules.keyFault(turn, name);
    if (fault == null && (set.getCount() < 1 || set.getCount() > COUNT_LIMIT)) {
      fault = "Count must be 1 to %d, is %d".formatted(COUNT_LIMIT, set.getCount());
    }
    if (fault != null) {
      reply(set.getReplyTo(), name, set.getId(), false, null, fault);
      return;
    }
    LockLatchState latch = rows.latch(name);
    boolean accepted = latch != null && rows.isCounted(name, set.getId());
    String reason = "";
    if (!accepted) {
      reason = unfit(name, latch);
      if (reason.isEmpty()) {
        latch = close(name, set);
        accepted = true;
      }
    }
    reply(set.getReplyTo(), name, set.getId(), accepted, latch, reason);
  }

  private String unfit(String name, @Nullable LockLatchState latch) {
    if (latch != null && latch.getCount() > 0) {
      return "Latch is closed already";
    }
    return requests.isUnused(name) ? "" : "Key is in use as a lock, or kept free";
  }

  private LockLatchState close(String name, SetLatch set) {
    RequestId id = new RequestId(OWNER, turn.offset());
    String by = set.getOnBehalfOf();
    Request request = Request.unanswered(id, turn.offset(), List.of(name), by);
    requests.grantAtOnce(request);
    LockLatchState latch = new LockLatchState(set.getCount(), set.getId(), request.token);
    rows.putLatch(name, latch);
    rows.putCounted(name, set.getId());
    return latch;
  }

  void countDown(CountDown down) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, down.getReplyTo());
    AcquireRules.requireName("Id", down.getId());
    String name = down.getKey();
    String fault = AcquireRules.keyFault(turn, name);
    if (fault != null) {
      reply(down.getReplyTo(), name, down.getId(), false, null, fault);
      return;
    }
    LockLatchState latch = rows.latch(name);
    boolean known = latch != null && rows.isCounted(name, down.getId());
    boolean closed = latch != null && latch.getCount() > 0;
    boolean counts = closed && !known && !down.getAsk();
    if (latch != null && counts) {
      latch = counted(name, latch, down.getId());
    }
    String reason = counts || known || closed ? "" : "Latch is open";
    reply(down.getReplyTo(), name, down.getId(), counts || known, latch, reason);
  }

  private LockLatchState counted(String name, LockLatchState latch, String id) {
    LockLatchState left = new LockLatchState(latch.getCount() - 1, latch.getId(), latch.getToken());
    rows.putLatch(name, left);
    rows.putCounted(name, id);
    Key key = rows.key(name);
    if (left.getCount() == 0 && key != null) {
      Request request = rows.request(key.party);
      if (request != null) {
        requests.release(request, ReleaseCause.RELEASED);
      }
    }
    return left;
  }

  /** A latch does not hold its key any more: remembers for a while what it has heard. */
  static void opened(Turn turn, LockRows rows, String name, long token) {
    LockLatchState latch = rows.latch(name);
    if (latch != null && latch.getToken() == token) {
      rows.putLatch(name, new LockLatchState(0L, latch.getId(), token));
      long until = turn.now().elapsed() + turn.limit("lock.tombstone.ms", 120_000);
      rows.putDue(until, Due.LATCH, new RequestId(name, token));
    }
  }

  /** Forgets a latch that was not closed again meanwhile. */
  void forget(String name, long token) {
    LockLatchState latch = rows.latch(name);
    if (latch != null && latch.getToken() == token) {
      rows.deleteLatch(name);
    }
  }

  private void reply(
      ReplyTo to,
      String name,
      String id,
      boolean accepted,
      @Nullable LockLatchState latch,
      String reason) {
    long count = latch == null ? 0 : latch.getCount();
    long token = latch == null || count == 0 ? 0 : latch.getToken();
    answers.reply(to, new LatchReply(name, id, accepted, count, token, reason));
  }
}
