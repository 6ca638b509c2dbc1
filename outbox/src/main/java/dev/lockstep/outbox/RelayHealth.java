package dev.lockstep.outbox;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How a relay is.
 *
 * @param shards state of each shard that this relay owns: STARTING, FENCING, LOADING, STREAMING,
 *     FOLLOWING (the log), PAUSED, WAITING or STOPPED
 * @param faults what is wrong now, by shard; empty when all is well
 * @param blocked what waits in {@code lockstep_outbox_parked}, in the shards of this relay: topics
 *     and keys (not which: {@link OutboxAdmin#blocked}), with the reason; at most 100 a shard
 * @param notes what makes messages later, or tables longer, and loses none: why the ledger is read
 *     although the log should be followed, why commits in other processes are found by polling
 *     alone, where readers stand because a transaction hangs, or of which topics that cannot be
 *     seen; and what the database refuses the relay beside publishing: to move delayed messages, to
 *     truncate
 * @param groupFault why this relay gets no shards now; empty when all is well
 */
public record RelayHealth(
    Map<Integer, String> shards,
    Map<Integer, String> faults,
    List<String> blocked,
    List<String> notes,
    Optional<String> groupFault) {

  /**
   * Tells whether anything is wrong or blocked. Says nothing of a pause, of rows that are parked
   * alone and of messages whose time has not come: see {@link OutboxAdmin#status}.
   *
   * @return true when there is no fault and nothing is blocked
   */
  public boolean isHealthy() {
    return faults.isEmpty() && blocked.isEmpty() && groupFault.isEmpty();
  }
}
