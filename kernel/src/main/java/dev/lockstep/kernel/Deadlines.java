package dev.lockstep.kernel;

/**
 * When time matters next on a partition. While an elapsed deadline is pending the host appends
 * ticks; for a wall deadline it does so near that time.
 *
 * @param elapsed elapsed milliseconds, or {@link Long#MAX_VALUE}
 * @param wall milliseconds since the epoch, or {@link Long#MAX_VALUE}
 */
public record Deadlines(long elapsed, long wall) {

  /** Nothing is pending: no ticks are needed. */
  public static final Deadlines NONE = new Deadlines(Long.MAX_VALUE, Long.MAX_VALUE);

  /**
   * Makes deadlines of elapsed time.
   *
   * @param elapsed elapsed milliseconds, or {@link Long#MAX_VALUE}
   * @return deadlines without a wall time
   */
  public static Deadlines elapsed(long elapsed) {
    return new Deadlines(elapsed, Long.MAX_VALUE);
  }
}
