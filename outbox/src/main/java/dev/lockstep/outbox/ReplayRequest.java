package dev.lockstep.outbox;

import java.time.Instant;

/**
 * Which rows are sent once more, and where. Immutable.
 *
 * @param topic that they were published to
 * @param from time of their transactions by the database's clock, inclusive; {@link
 *     OutboxStatus#reach} tells how far it can lie back
 * @param until exclusive
 * @param target topic that they are sent to: the same or another one
 */
public record ReplayRequest(String topic, Instant from, Instant until, String target) {

  /** Checks the times. */
  public ReplayRequest {
    if (!from.isBefore(until)) {
      throw new IllegalArgumentException(
          "Nothing of '%s' can be replayed from %s until %s: the end lies before the beginning"
              .formatted(topic, from, until));
    }
  }
}
