package dev.lockstep.lock;

import java.time.Duration;

/**
 * The lock service refused a request: it is malformed, or a queue is full. The message says which.
 */
public final class LockDeniedException extends LockException {

  private static final long serialVersionUID = 1L;

  private final Duration retryAfter;

  /**
   * Creates an exception.
   *
   * @param message keys, what was observed, what to do
   * @param retryAfter when to try again; zero: trying again does not help
   */
  public LockDeniedException(String message, Duration retryAfter) {
    super(retryAfter.isZero() ? message : message + "; try again after " + retryAfter);
    this.retryAfter = retryAfter;
  }

  /**
   * Returns when to try again.
   *
   * @return zero: trying again does not help, the request must be another
   */
  public Duration retryAfter() {
    return retryAfter;
  }
}
