package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.lock.LockEvent.Mode;
import dev.lockstep.lock.LockInspector;
import dev.lockstep.lock.LockStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/** Reads the state of locks for people. Pure; writes nothing. */
public final class LockReport {

  private static final int MOST_HOLDERS = 1_000;
  private static final int MOST_WAITERS = 100;

  private final LockRows rows;

  /** Reads from these rows. */
  public LockReport(Store store) {
    this.rows = new LockRows(store);
  }

  /** Returns a key in use; empty when nobody holds it or waits for it. */
  public Optional<LockStatus> lock(String name) {
    Key key = rows.key(name);
    return key == null ? Optional.empty() : Optional.of(status(key));
  }

  /** Returns keys in use in their order. */
  public List<LockStatus> locks(String prefix, int most) {
    return rows.keys(prefix, most).stream().map(this::status).toList();
  }

  /** Returns the names of living sessions and sagas in their order. */
  public List<String> sessions(String prefix, int most) {
    return rows.sessions(prefix, most);
  }

  /** Counts keys, places in queues and sessions. */
  public LockInspector.Totals totals() {
    List<Key> keys = rows.keys("", Integer.MAX_VALUE);
    return new LockInspector.Totals(
        keys.size(),
        keys.stream().mapToLong(key -> key.waiting).sum(),
        keys.stream().mapToLong(key -> key.waiting).max().orElse(0),
        rows.sessions("", Integer.MAX_VALUE).size());
  }

  /** Returns the keys that somebody waits for. */
  public List<Waiting> waiting() {
    List<Waiting> all = new ArrayList<>();
    for (Key key : rows.keys("", Integer.MAX_VALUE)) {
      if (key.waiting > 0) {
        all.add(waiting(key));
      }
    }
    return all;
  }

  private Waiting waiting(Key key) {
    List<Waiting.Holder> holders = new ArrayList<>();
    if (!key.party.equals(RequestId.NOBODY)) {
      // an offer counts like a grant: nobody else is served until it is granted or ends
      Request party = rows.request(key.party);
      int permits = party == null || key.isExclusive() ? key.capacity : party.permits;
      holders.add(holder(key.party, party, permits, key.token));
    }
    for (LockRows.Holder each : rows.holders(key.name, Integer.MAX_VALUE)) {
      holders.add(holder(each.id(), rows.request(each.id()), each.permits(), each.token()));
    }
    List<Waiting.Waiter> queue = new ArrayList<>();
    for (LockRows.Place place : rows.queue(key.name, Integer.MAX_VALUE)) {
      Request request = rows.request(place.id());
      if (request != null) {
        queue.add(
            new Waiting.Waiter(
                request.id,
                task(request),
                request.named(),
                request.permits,
                request.priority,
                request.order));
      }
    }
    return new Waiting(key.name, key.capacity, holders, queue);
  }

  private static Waiting.Holder holder(
      RequestId id, @Nullable Request request, int permits, long token) {
    return request == null
        ? new Waiting.Holder(id, new Waiting.Task(id.owner(), ""), id.owner(), permits, token)
        : new Waiting.Holder(id, task(request), request.named(), permits, token);
  }

  private static Waiting.Task task(Request request) {
    return new Waiting.Task(
        request.replyTo.getTopic() + "/" + request.replyTo.getKey(), request.task);
  }

  private LockStatus status(Key key) {
    List<LockStatus.Holder> holders = new ArrayList<>();
    if (key.isExclusive()) {
      holders.add(
          new LockStatus.Holder(
              key.party.owner(), onBehalfOf(key.party), Mode.EXCLUSIVE, 0, key.token));
    }
    for (LockRows.Holder holder : rows.holders(key.name, MOST_HOLDERS)) {
      boolean permits = key.capacity != Key.LOCK;
      holders.add(
          new LockStatus.Holder(
              holder.id().owner(),
              onBehalfOf(holder.id()),
              permits ? Mode.PERMITS : Mode.SHARED,
              permits ? holder.permits() : 0,
              holder.token()));
    }
    List<LockStatus.Waiter> queue = new ArrayList<>();
    for (LockRows.Place place : rows.queue(key.name, MOST_WAITERS)) {
      Request request = rows.request(place.id());
      if (request != null) {
        queue.add(waiter(request));
      }
    }
    return new LockStatus(key.name, holders, key.waiting, queue, key.closedUntil != 0);
  }

  private static LockStatus.Waiter waiter(Request request) {
    Mode mode = Mode.valueOf(request.mode().name());
    return new LockStatus.Waiter(
        request.id.owner(),
        request.onBehalfOf,
        mode,
        mode == Mode.PERMITS ? request.permits : 0,
        request.priority,
        request.keys);
  }

  private String onBehalfOf(RequestId id) {
    Request request = rows.request(id);
    return request == null ? "" : request.onBehalfOf;
  }
}
