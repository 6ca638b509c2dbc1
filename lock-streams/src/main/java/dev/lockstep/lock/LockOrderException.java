package dev.lockstep.lock;

/**
 * A thread that holds locks would wait for one that sorts before them: another thread that nests
 * them the other way round could wait for it at the same time, both for ever. Take the keys
 * together ({@link LockClient#locks}), or in ascending order everywhere.
 */
public final class LockOrderException extends LockException {

  private static final long serialVersionUID = 1L;

  /**
   * Creates an exception.
   *
   * @param message keys that are held and wanted, what to do
   */
  public LockOrderException(String message) {
    super(message);
  }
}
