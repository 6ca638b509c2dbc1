package dev.lockstep.outbox;

import java.util.Map;
import java.util.Optional;

/**
 * How a consumer is.
 *
 * @param faults what is wrong, by {@code topic-partition}; empty when all is well
 * @param handled messages since the start, those that were parked before included
 * @param repeats messages that were passed over since the start: they had been handled before
 * @param parked messages that were put aside since the start
 * @param groupFault why this consumer gets no messages now; empty when all is well
 */
public record InboxHealth(
    Map<String, String> faults,
    long handled,
    long repeats,
    long parked,
    Optional<String> groupFault) {

  /**
   * Tells whether messages are handled.
   *
   * @return true when nothing is wrong
   */
  public boolean isHealthy() {
    return faults.isEmpty() && groupFault.isEmpty();
  }
}
