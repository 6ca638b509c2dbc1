package dev.lockstep.outbox;

/** How messages of one key are put in the order in which their transactions commit. */
public enum KeyOrder {
  /**
   * By the row that the writers of a key lock before they publish: an {@code UPDATE} of the
   * aggregate, or {@code SELECT .. FOR UPDATE}. Costs nothing. Transactions that write the same key
   * without such a lock may be published in either order.
   */
  ROW_LOCK,

  /**
   * By a lock of the outbox on each key, taken just before the messages are stored and held until
   * the transaction ends. For keys that no row stands for: transactions that publish the same key
   * wait for each other at their commit.
   */
  ADVISORY_LOCK
}
