package dev.lockstep.lock;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A fact about a lock key.
 *
 * @param id stable identity: a repeat after a crash has the same
 * @param type what happened
 * @param key lock key
 * @param owner session or saga
 * @param token fencing token of the grant
 * @param grant how it was granted; null unless it was
 * @param cause why a key is no longer held, or who wants it back; else empty
 * @param at log time
 */
public record LockEvent(
    String id,
    Type type,
    String key,
    String owner,
    long token,
    @Nullable Grant grant,
    String cause,
    Instant at) {

  /** What happened. */
  public enum Type {
    /** The key was granted. */
    GRANTED,
    /** A holder no longer holds the key. */
    RELEASED,
    /** An exclusive holder went on as a shared one, under the same token. */
    DOWNGRADED,
    /** Somebody wants the key back from its holder. */
    REVOKE_ASKED
  }

  /** How many may hold the key at a time. */
  public enum Mode {
    /** Nobody else. */
    EXCLUSIVE,
    /** Others who share it. */
    SHARED,
    /** Others, up to the capacity of a semaphore. */
    PERMITS
  }

  /**
   * How a key was granted.
   *
   * @param mode how many may hold it
   * @param permits taken of a semaphore, else 0
   * @param capacity permits of the semaphore in all, else 0
   * @param onBehalfOf whom it is for; empty: nobody said
   */
  public record Grant(Mode mode, int permits, int capacity, String onBehalfOf) {}
}
