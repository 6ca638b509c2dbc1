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
 * and sessions are those of any lock. Counting needs no session: each count has an id, which is
 * remembered until the latch opens.
 */
final class Latches {

  private static final long COUNT_LIMIT = 1_000_000;
  private static final String OWNER = "latch ";

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

  void set(SetLatch set) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, set.getReplyTo());
    AcquireRules.requireName("Id", set.getId());
    String name = set.getKey();
    String fault = AcquireRules.keyFault(turn, name);
    if (fault == null && (set.getCount() < 1 || set.getCount() > COUNT_LIMIT)) {
      fault = "Count must be 1 to %d, is %d".formatted(COUNT_LIMIT, set.getCount());
    }
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
    LockLatchState latch = rows.latch(name);
    if (latch == null && requests.isUnused(name)) {
      String by = set.getOnBehalfOf();
      Request request = Request.unanswered(id(name), turn.offset(), List.of(name), by);
      requests.grantAtOnce(request);
      latch = new LockLatchState(set.getCount(), set.getId(), request.token);
      rows.putLatch(name, latch);
    }
    boolean accepted = latch != null && latch.getId().equals(set.getId());
    String reason =
        accepted
            ? ""
            : latch == null ? "Key is in use as a lock, or kept free" : "Latch is closed already";
    reply(set.getReplyTo(), name, set.getId(), accepted, latch, reason);
  }

  void countDown(CountDown down) throws RejectedInputException {
    AcquireRules.requireAnswerable(turn, down.getReplyTo());
    AcquireRules.requireName("Id", down.getId());
    String name = down.getKey();
    String fault = AcquireRules.keyFault(turn, name);
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
    LockLatchState latch = rows.latch(name);
    boolean counts = latch != null && !down.getAsk();
    LockLatchState left = latch;
    if (latch != null && counts && !rows.isCounted(name, down.getId())) {
      left = counted(name, latch, down.getId());
    }
    String reason = latch == null ? "Latch is open" : "";
    reply(down.getReplyTo(), name, down.getId(), counts, left, reason);
  }

  private @Nullable LockLatchState counted(String name, LockLatchState latch, String id) {
    if (latch.getCount() > 1) {
      LockLatchState left =
          new LockLatchState(latch.getCount() - 1, latch.getId(), latch.getToken());
      rows.putLatch(name, left);
      rows.putCounted(name, id);
      return left;
    }
    Request request = rows.request(id(name));
    if (request != null) {
      requests.release(request, ReleaseCause.RELEASED);
    }
    return null;
  }

  /** Tells whether it is a latch that holds a key. */
  static boolean isLatch(RequestId id) {
    return id.owner().startsWith(OWNER);
  }

  private void reply(
      ReplyTo to,
      String name,
      String id,
      boolean accepted,
      @Nullable LockLatchState latch,
      String reason) {
    answers.reply(
        to,
        new LatchReply(
            name,
            id,
            accepted,
            latch == null ? 0 : latch.getCount(),
            latch == null ? 0 : latch.getToken(),
            reason));
  }

  private static RequestId id(String name) {
    return new RequestId(OWNER + name, 1);
  }
}
