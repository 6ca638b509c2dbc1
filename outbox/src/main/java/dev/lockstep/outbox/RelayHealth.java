package dev.lockstep.outbox;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a relay is.
 *
 * @param shards state of each shard that this relay owns
 * @param faults what is wrong now, by shard; empty when all is well
 * @param blocked what waits in {@code lockstep_outbox_parked}, in the shards of this relay: keys
 *     and topics, with the reason; at most 100
 * @param notes what makes messages later and loses none: why the ledger is read although the log
 *     should be followed, why commits in other processes are found by polling alone, where readers
 *     stand because a transaction hangs, or of which topics that cannot be seen
 * @param groupFault why this relay gets no shards now; empty when all is well
 */
public record RelayHealth(
    Map<Integer, String> shards,
    Map<Integer, String> faults,
    List<String> blocked,
    List<String> notes,
    Optional<String> groupFault) {

  /**
   * Tells whether everything that is committed is being published.
   *
   * @return true when nothing is wrong and nothing is blocked
   */
  public boolean isHealthy() {
    return faults.isEmpty() && blocked.isEmpty() && groupFault.isEmpty();
  }
}
