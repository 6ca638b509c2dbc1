package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.Turn;
import dev.lockstep.lock.internal.engine.LockRows.Place;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Set;

/**
 * Gives out what became free; runs once per record, last. A key gets at most one exclusive grant
 * per record, because the token is the record's offset (execution L1 of the kernel review: expire,
 * grant, expire, grant within one tick would give two holders one token). Many who may share a key
 * are granted by several records.
 */
final class HandOver {

  private final Turn turn;
  private final LockRows rows;
  private final Requests requests;
  private final Sessions sessions;

  HandOver(Turn turn, LockRows rows, Requests requests, Sessions sessions) {
    this.turn = turn;
    this.rows = rows;
    this.requests = requests;
    this.sessions = sessions;
  }

  void run() {
    long left = turn.limit("lock.grants.per.record", 1_000);
    while (true) {
      serveTouched();
      Set<RequestId> ready = requests.ready();
      if (ready.isEmpty()) {
        return;
      }
      if (left-- == 0) {
        ready.forEach(id -> rows.putDue(turn.now().elapsed(), Due.GRANT, id));
        return;
      }
      RequestId id = ready.iterator().next();
      ready.remove(id);
      Request request = rows.request(id);
      if (request != null && request.isWaiting()) {
        requests.grant(request);
      }
    }
  }

  private void serveTouched() {
    Set<String> touched = requests.touched();
    if (touched.isEmpty()) {
      return;
    }
    Deque<String> open = new ArrayDeque<>();
    while (true) {
      // a dead waiter that is found on the way may free other keys
      open.addAll(touched.stream().sorted().toList());
      touched.clear();
      if (open.isEmpty()) {
        return;
      }
      serve(open.poll());
    }
  }

  private void serve(String name) {
    while (true) {
      Key key = rows.key(name);
      if (key == null || key.waiting == 0 || key.isExclusive() || key.isOffered()) {
        return;
      }
      List<Place> first = rows.queue(name, 1);
      Request request = first.isEmpty() ? null : rows.request(first.get(0).id());
      if (request == null) {
        throw new IllegalStateException("Queue of '%s' names %s".formatted(name, first));
      }
      if (sessions.endIfDead(request)) {
        continue;
      }
      if (key.fits(request.permits)) {
        requests.offer(key, request);
      }
      return;
    }
  }
}
