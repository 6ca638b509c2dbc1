package dev.lockstep.kernel;

/** Root of what the kernel throws. */
public class KernelException extends RuntimeException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message who, what, observed against required, what to do
   */
  public KernelException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message who, what, observed against required, what to do
   * @param cause what was thrown beneath
   */
  public KernelException(String message, Throwable cause) {
    super(message, cause);
  }
}
