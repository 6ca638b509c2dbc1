package dev.lockstep.lock;

/**
 * This call waited in a circle, and was chosen to give up so that the others go on; the message
 * names the circle. Release what the thread holds and begin again; or avoid it: take the locks
 * together by {@link LockClient#locks}, or in ascending order.
 *
 * @see DeadlockDetector
 */
public final class LockDeadlockException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys, and who waits for whom
   */
  public LockDeadlockException(String message) {
    super(message);
  }
}
