package dev.lockstep.outbox;

/** Root of what the outbox throws. */
public class OutboxException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message who, what, observed against required, what to do
   */
  public OutboxException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message who, what, observed against required, what to do
   * @param cause what the database or Kafka reported
   */
  public OutboxException(String message, Throwable cause) {
    super(message, cause);
  }
}
