package dev.lockstep.lock;

/** A lock is not safely held any more: stop the work that it protects and roll back. */
public final class LockLostException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys, what was observed, what to do
   */
  public LockLostException(String message) {
    super(message);
  }
}
