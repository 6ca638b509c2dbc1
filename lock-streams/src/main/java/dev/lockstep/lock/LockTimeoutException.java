package dev.lockstep.lock;

import java.util.Optional;
import java.util.OptionalInt;

/**
 * A lock was not granted within the wait; decided by the log, so it will not be granted later
 * either. Try again, or give up.
 */
public final class LockTimeoutException extends LockException {

  private static final long serialVersionUID = 1L;

  private final String holder;
  private final long holderToken;
  private final int ahead;

  /**
   * Creates an exception.
   *
   * @param message keys, what was observed, what to do
   * @param holder who held the key that was in the way; empty: several, or not known
   * @param holderToken token of that holder, or 0
   * @param ahead requests ahead in the queue, counted up to 100; -1: not known
   */
  public LockTimeoutException(String message, String holder, long holderToken, int ahead) {
    super(message);
    this.holder = holder;
    this.holderToken = holderToken;
    this.ahead = ahead;
  }

  /**
   * Returns who held the key that was in the way when the wait was over.
   *
   * @return name that it gave itself, or its session; empty: several, or not known
   */
  public Optional<String> holder() {
    return holder.isEmpty() ? Optional.empty() : Optional.of(holder);
  }

  /**
   * Returns the fencing token of {@link #holder}.
   *
   * @return token, or 0
   */
  public long holderToken() {
    return holderToken;
  }

  /**
   * Returns how many were ahead in the queue.
   *
   * @return 0 to 100, where 100 means 100 or more; empty: not known
   */
  public OptionalInt ahead() {
    return ahead < 0 ? OptionalInt.empty() : OptionalInt.of(ahead);
  }
}
