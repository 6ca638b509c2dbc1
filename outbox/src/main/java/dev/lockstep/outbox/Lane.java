package dev.lockstep.outbox;

/** How a topic's messages leave the outbox. A lane belongs to a topic, never to a message. */
public enum Lane {
  /** Inside the relay's Kafka transaction: exactly once for read_committed readers. */
  EXACTLY_ONCE(0),

  /**
   * At once, by a plain idempotent producer: for topics that are read by machines or inboxes, which
   * drop repeats by the row's id. Waits for no commit.
   */
  EXPRESS(1);

  private final int code;

  Lane(int code) {
    this.code = code;
  }

  /**
   * Returns the value of the column {@code lane}.
   *
   * @return 0 or 1
   */
  public int code() {
    return code;
  }

  /**
   * Reads the column {@code lane}.
   *
   * @param code 0 or 1
   * @return the lane
   */
  public static Lane of(int code) {
    return code == 0 ? EXACTLY_ONCE : EXPRESS;
  }
}
