package dev.lockstep.lock;

/**
 * A lock was not granted within the wait; decided by the log, so it will not be granted later
 * either. Try again, or give up.
 */
public final class LockTimeoutException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys, what was observed, what to do
   */
  public LockTimeoutException(String message) {
    super(message);
  }
}
