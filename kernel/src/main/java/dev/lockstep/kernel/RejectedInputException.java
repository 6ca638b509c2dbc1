package dev.lockstep.kernel;

/** A record that breaks a rule of the domain: it goes to the rejected topic with this message. */
public final class RejectedInputException extends Exception {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message what was found and what was expected; a pure function of record and state
   */
  public RejectedInputException(String message) {
    super(message);
  }
}
