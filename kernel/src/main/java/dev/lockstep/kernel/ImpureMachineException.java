package dev.lockstep.kernel;

/** A machine that decided differently when asked twice. */
public final class ImpureMachineException extends KernelException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message record, and the first difference
   */
  public ImpureMachineException(String message) {
    super(message);
  }
}
