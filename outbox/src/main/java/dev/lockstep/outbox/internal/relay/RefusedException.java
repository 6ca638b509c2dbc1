package dev.lockstep.outbox.internal.relay;

import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/**
 * A page was not published because of a record that Kafka will never take, or of its topic. On the
 * exactly-once lane nothing of it was; on the express lane a part may have been.
 */
final class RefusedException extends KafkaException {

  private static final long serialVersionUID = 1L;

  private final transient @Nullable RowName row;
  private final boolean senderGoesOn;

  /**
   * @param row the first that failed, if that is known
   * @param senderGoesOn false: the sender is of no more use
   */
  RefusedException(@Nullable RowName row, boolean senderGoesOn, Throwable cause) {
    super(String.valueOf(cause.getMessage()), cause);
    this.row = row;
    this.senderGoesOn = senderGoesOn;
  }

  boolean senderGoesOn() {
    return senderGoesOn;
  }

  @Nullable RowName row() {
    return row;
  }
}
