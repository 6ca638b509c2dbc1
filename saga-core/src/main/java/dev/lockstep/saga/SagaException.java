package dev.lockstep.saga;

/** Root of what saga-core throws. */
public class SagaException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message who, what, observed against required, what to do
   */
  public SagaException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message who, what, observed against required, what to do
   * @param cause what was thrown beneath
   */
  public SagaException(String message, Throwable cause) {
    super(message, cause);
  }
}
