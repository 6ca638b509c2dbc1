package dev.lockstep.lock.internal.engine;

/**
 * Names one Acquire.
 *
 * @param owner session or lease
 * @param number its number there; 0 where the owner itself is meant
 */
record RequestId(String owner, long number) {

  /** Nobody: names are never empty. */
  static final RequestId NOBODY = new RequestId("", 0);
}
