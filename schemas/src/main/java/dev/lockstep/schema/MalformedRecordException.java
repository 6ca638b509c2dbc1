package dev.lockstep.schema;

/** Bytes that no program can read: the record is bad for everyone. */
public final class MalformedRecordException extends SchemaException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message what was found and what was expected
   */
  public MalformedRecordException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message what was found and what was expected
   * @param cause what the decoder reported
   */
  public MalformedRecordException(String message, Throwable cause) {
    super(message, cause);
  }
}
