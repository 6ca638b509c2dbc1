package dev.lockstep.kernel;

/** An effect that may not exist; the request that asked for it is denied. */
public final class EffectRefusedException extends Exception {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message destination, what was asked and what the Layout allows
   */
  public EffectRefusedException(String message) {
    super(message);
  }
}
