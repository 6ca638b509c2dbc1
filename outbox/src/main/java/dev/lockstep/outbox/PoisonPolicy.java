package dev.lockstep.outbox;

/**
 * What becomes of a row that Kafka refuses for good: too large, no such partition, refused by the
 * broker. A policy belongs to a topic. Rows that were sent beside it are never reordered.
 */
public enum PoisonPolicy {
  /**
   * The row and all later ones of its key wait in {@code lockstep_outbox_parked} until an operator
   * unblocks the key; other keys go on, up to 1,000 of a shard: then the whole topic waits until it
   * is unblocked. A row without a key is parked alone.
   */
  BLOCK_KEY(0),

  /**
   * The row is parked alone; later rows of its key go on. For topics whose order does not matter.
   */
  PARK(1),

  /** The whole shard waits, and says so in its health, until the row can be sent. */
  FAIL(2);

  private final int code;

  PoisonPolicy(int code) {
    this.code = code;
  }

  /**
   * Returns the value of the column {@code on_poison}.
   *
   * @return 0, 1 or 2
   */
  public int code() {
    return code;
  }

  /**
   * Reads the column {@code on_poison}.
   *
   * @param code 0, 1 or 2
   * @return the policy
   */
  public static PoisonPolicy of(int code) {
    return values()[code];
  }
}
