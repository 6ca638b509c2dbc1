package dev.lockstep.lock;

/**
 * The lock service refused a request: it is malformed, or a queue is full. The message says which.
 */
public final class LockDeniedException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys, what was observed, what to do
   */
  public LockDeniedException(String message) {
    super(message);
  }
}
