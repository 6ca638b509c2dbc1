package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Store;
import dev.lockstep.lock.LockEvent.Mode;
import dev.lockstep.lock.LockStatus;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

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
