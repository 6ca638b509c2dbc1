package dev.lockstep.outbox;

/**
 * Somebody else claimed the partition since: see {@link OffsetInbox#begin}. Roll back, handle
 * nothing more of it, and join the consumer group again.
 */
public final class ClaimLostException extends OutboxException {

  private static final long serialVersionUID = 1L;

  /**
   * Makes an exception.
   *
   * @param message which claim
   */
  public ClaimLostException(String message) {
    super(message);
  }
}
