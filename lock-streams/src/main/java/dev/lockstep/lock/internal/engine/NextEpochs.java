package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.Adopt;
import dev.lockstep.schema.lock.AdoptedLease;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.schema.state.LockLatchState;
import dev.lockstep.schema.state.LockSessionState;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;

/**
 * What of a lock partition goes over into the next topic epoch. Reads only.
 *
 * <p>Not carried: answers that are kept for repeats, latches that are open, revocations that have
 * not come due, ends of sessions.
 */
public final class NextEpochs {

  private static final ReplyTo NOWHERE = new ReplyTo("", -1, "", false);

  private final LockRows rows;

  /** Reads from these rows. */
  public NextEpochs(Store store) {
    this.rows = new LockRows(store);
  }

  /** A record that the new log begins with. */
  public record Beginning(String key, Object value) {}

  /**
   * Returns sessions, then leases, then requests that wait, each in its order.
   *
   * @param now elapsed time of the log that ends
   */
  public List<Beginning> records(long now) {
    List<Beginning> records = new ArrayList<>();
    for (String name : rows.sessions("", Integer.MAX_VALUE)) {
      LockSessionState session = Objects.requireNonNull(rows.session(name));
      records.add(
          new Beginning(
              name,
              new Adopt(
                  name,
                  session.getTtlMillis(),
                  session.getLowestUnanswered(),
                  session.getReplyTo(),
                  null)));
    }
    List<Request> requests = rows.requests();
    for (Request request : requests) {
      List<String> held = held(request);
      if (!held.isEmpty()) {
        Acquire acquire = acquire(request, held, now);
        long count = latchCount(request.id, held.get(0));
        records.add(
            new Beginning(
                held.get(0),
                new Adopt(
                    request.id.owner(),
                    0L,
                    1L,
                    NOWHERE,
                    new AdoptedLease(
                        acquire,
                        request.token,
                        count,
                        count == 0 ? List.of() : rows.counted(held.get(0))))));
      }
    }
    requests.stream()
        .filter(Request::isWaiting)
        .sorted(Comparator.comparingLong(request -> request.order))
        .forEach(
            request ->
                records.add(
                    new Beginning(request.keys.get(0), acquire(request, request.keys, now))));
    return records;
  }

  private long latchCount(RequestId id, String key) {
    LockLatchState latch = Latches.isLatch(id) ? rows.latch(key) : null;
    return latch == null ? 0 : latch.getCount();
  }

  /** Returns owners of leases without a time to live, held or waited for. */
  public List<String> owners() {
    return rows.requests().stream()
        .filter(
            request -> request.ttlMillis == 0 && (request.isWaiting() || !held(request).isEmpty()))
        .map(request -> request.id.owner())
        .distinct()
        .toList();
  }

  /** Returns the longest time to live of a session, 0: there is none. */
  public long longestTtl() {
    return rows.sessions("", Integer.MAX_VALUE).stream()
        .mapToLong(name -> Objects.requireNonNull(rows.session(name)).getTtlMillis())
        .max()
        .orElse(0);
  }

  /** Tells whether a key is kept free after its holder's end. */
  public boolean isAnyClosed() {
    return rows.keys("", Integer.MAX_VALUE).stream().anyMatch(key -> key.closedUntil > 0);
  }

  /** Keys that were taken from it are not its own any more. */
  private List<String> held(Request request) {
    List<String> held = new ArrayList<>();
    for (String name : request.isHolding() ? request.keys : List.<String>of()) {
      Key key = rows.key(name);
      if (key != null
          && ((key.isHeldExclusivelyBy(request.id) && key.token == request.token)
              || rows.holder(name, request.id) != null)) {
        held.add(name);
      }
    }
    return held;
  }

  /** Elapsed time begins anew: of a wait goes over what is left of it. */
  private static Acquire acquire(Request request, List<String> keys, long now) {
    return new Acquire(
        request.id.owner(),
        request.id.number(),
        1L,
        request.ttlMillis,
        keys,
        request.mode(),
        request.capacity == Key.LOCK ? 0 : request.permits,
        request.capacity == Key.LOCK ? 0 : request.capacity,
        request.priority,
        request.deadline == Request.NEVER ? -1L : Math.max(0, request.deadline - now),
        request.delayMillis,
        request.onBehalfOf,
        request.task,
        request.rest,
        request.earlier,
        request.replyTo);
  }
}
