package dev.lockstep.schema;

/** Root of what goes wrong between values and bytes. */
public class SchemaException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message who, what, observed against required, what to do
   */
  public SchemaException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message who, what, observed against required, what to do
   * @param cause what a library reported
   */
  public SchemaException(String message, Throwable cause) {
    super(message, cause);
  }
}
