package dev.lockstep.kernel;

/**
 * A partition that must not go on in this instance: something is lost, foreign, or not known here.
 * Nothing of the record was written; the message names the remedy.
 */
public final class PartitionStoppedException extends KernelException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message topic, partition, observed against required, remedy
   */
  public PartitionStoppedException(String message) {
    super(message);
  }

  /**
   * Creates an exception with its cause.
   *
   * @param message topic, partition, observed against required, remedy
   * @param cause what was thrown beneath
   */
  public PartitionStoppedException(String message, Throwable cause) {
    super(message, cause);
  }
}
