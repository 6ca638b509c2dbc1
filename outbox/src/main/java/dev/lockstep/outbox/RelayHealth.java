package dev.lockstep.outbox;

import java.util.Map;
import java.util.Optional;

/**
 * How a relay is.
 *
 * @param shards state of each shard that this relay owns
 * @param faults what is wrong now, by shard; empty when all is well
 * @param groupFault why this relay gets no shards now; empty when all is well
 */
public record RelayHealth(
    Map<Integer, String> shards, Map<Integer, String> faults, Optional<String> groupFault) {

  /**
   * Tells whether every owned shard is being published.
   *
   * @return true when there are no faults
   */
  public boolean isHealthy() {
    return faults.isEmpty() && groupFault.isEmpty();
  }
}
