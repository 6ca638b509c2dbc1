package dev.lockstep.lock;

/** Root of what lock-streams throws. */
public class LockException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message who, what, observed against required, what to do
   */
  public LockException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message who, what, observed against required, what to do
   * @param cause what was thrown beneath
   */
  public LockException(String message, Throwable cause) {
    super(message, cause);
  }
}
