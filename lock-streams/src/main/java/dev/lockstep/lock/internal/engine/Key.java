package dev.lockstep.lock.internal.engine;

import dev.lockstep.schema.state.LockKeyState;

/**
 * One key in use, as a turn works on it. Every kind of lock is a number of permits: an exclusive
 * holder takes all of them, a shared one takes one of more than anybody counts, a semaphore has as
 * many as its users say.
 *
 * <p>A key whose turn has come for a request is offered to it until the request has all its keys;
 * an offer holds nothing, so a request of higher priority may take it over.
 */
final class Key {

  /** Capacity of a key that is a lock. */
  static final int LOCK = Integer.MAX_VALUE;

  final String name;
  final int capacity;
  int taken;
  long waiting;
  long closedUntil;
  RequestId party = RequestId.NOBODY;
  long token;

  Key(String name, int capacity) {
    this.name = name;
    this.capacity = capacity;
  }

  static Key of(String name, LockKeyState stored) {
    Key key = new Key(name, stored.getCapacity());
    key.taken = stored.getTaken();
    key.waiting = stored.getWaiting();
    key.closedUntil = stored.getClosedUntil();
    if (!stored.getOwner().isEmpty()) {
      key.party = new RequestId(stored.getOwner(), stored.getNumber());
    }
    key.token = stored.getToken();
    return key;
  }

  LockKeyState stored() {
    return new LockKeyState(
        capacity, taken, waiting, closedUntil, party.owner(), party.number(), token);
  }

  boolean isIdle() {
    return taken == 0 && waiting == 0 && closedUntil == 0 && party.equals(RequestId.NOBODY);
  }

  boolean isOffered() {
    return token == 0 && !party.equals(RequestId.NOBODY);
  }

  boolean isOfferedTo(RequestId id) {
    return token == 0 && party.equals(id);
  }

  boolean isExclusive() {
    return token != 0;
  }

  boolean isHeldExclusivelyBy(RequestId id) {
    return token != 0 && party.equals(id);
  }

  /** Tells whether it could be offered, if it is anybody's turn. */
  boolean fits(int permits) {
    return closedUntil == 0 && party.equals(RequestId.NOBODY) && permits <= capacity - taken;
  }

  void offer(RequestId id) {
    party = id;
    token = 0;
  }

  void withdraw() {
    party = RequestId.NOBODY;
  }

  void takeExclusively(RequestId id, long grant) {
    party = id;
    token = grant;
    taken = capacity;
  }

  void leaveExclusively() {
    party = RequestId.NOBODY;
    token = 0;
    taken = 0;
  }
}
