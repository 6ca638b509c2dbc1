package dev.lockstep.lock;

import java.util.List;

/**
 * A lock key in use, at one place of the log.
 *
 * @param key lock key
 * @param holders who holds it; several when it is shared or has permits
 * @param waiting requests in its queue, all of them
 * @param queue the first of them, in the order in which they will be served
 * @param isKeptFree true during a lock-delay: nobody is granted it yet
 */
public record LockStatus(
    String key, List<Holder> holders, long waiting, List<Waiter> queue, boolean isKeptFree) {

  /** Makes the lists immutable. */
  public LockStatus {
    holders = List.copyOf(holders);
    queue = List.copyOf(queue);
  }

  /**
   * One holder.
   *
   * @param session session or saga that holds it
   * @param onBehalfOf whom it is for, as its client said; empty: it did not
   * @param mode how
   * @param permits how many, with {@link LockEvent.Mode#PERMITS}; else 0
   * @param token fencing token of its grant
   */
  public record Holder(
      String session, String onBehalfOf, LockEvent.Mode mode, int permits, long token) {}

  /**
   * One request that waits.
   *
   * @param session session or saga that waits
   * @param onBehalfOf whom it is for, as its client said; empty: it did not
   * @param mode how it wants the key
   * @param permits how many, with {@link LockEvent.Mode#PERMITS}; else 0
   * @param priority 0 to 9, higher first
   * @param keys all keys that it waits for together in this partition
   */
  public record Waiter(
      String session,
      String onBehalfOf,
      LockEvent.Mode mode,
      int permits,
      int priority,
      List<String> keys) {

    /** Makes the list immutable. */
    public Waiter {
      keys = List.copyOf(keys);
    }
  }
}
