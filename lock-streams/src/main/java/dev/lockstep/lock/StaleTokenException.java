package dev.lockstep.lock;

/** A write under a token that is no longer the highest: somebody else holds the lock since. */
public final class StaleTokenException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys, token, what to do
   */
  public StaleTokenException(String message) {
    super(message);
  }
}
