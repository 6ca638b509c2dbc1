package dev.lockstep.lock.internal.engine;

/**
 * One thing that is due.
 *
 * @param at elapsed milliseconds
 * @param kind what it is
 * @param id whom or what it is about
 * @param row its row
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record Due(long at, char kind, RequestId id, byte[] row) {

  /** A session may have run out. */
  static final char SESSION = 's';

  /** The wait of a request is over. */
  static final char WAIT = 'w';

  /** An ended session need not be remembered any more. */
  static final char TOMBSTONE = 't';

  /** A key (the owner in the id) is open again. */
  static final char KEY = 'k';

  /** A request has all its keys; an earlier record had granted enough. */
  static final char GRANT = 'g';

  /** A grant is to be taken: key and token in the id. */
  static final char REVOCATION = 'v';

  /** A latch that is open need not be remembered any more: key and token in the id. */
  static final char LATCH = 'l';
}
