package dev.lockstep.lock;

import java.time.Instant;

/**
 * A fact about a lock key.
 *
 * @param id stable identity: a repeat after a crash has the same
 * @param type what happened
 * @param key lock key
 * @param owner session or saga
 * @param token fencing token of the grant
 * @param cause why a key is no longer held; empty for a grant
 * @param at log time
 */
public record LockEvent(
    String id, Type type, String key, String owner, long token, String cause, Instant at) {

  /** What happened. */
  public enum Type {
    /** The key was granted. */
    GRANTED,
    /** The key is no longer held. */
    RELEASED
  }
}
