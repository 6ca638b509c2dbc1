package dev.lockstep.kernel;

import java.util.Map;

/**
 * How a host is. Kafka Streams says RUNNING even when nothing moves, so this says more.
 *
 * @param state what it is doing
 * @param stopped input partitions that stand still here, each with its reason and remedy
 * @param alarms what people should look at, by subject
 */
public record HostHealth(State state, Map<String, String> stopped, Map<String, String> alarms) {

  /** What a host is doing. */
  public enum State {
    /** Not started, or waiting for its first assignment. */
    STARTING,
    /** Folding every partition that it owns. */
    RUNNING,
    /** Partitions are moving between instances, or state is being restored. */
    REBALANCING,
    /** Folding, but something stands still or fails: see the other parts. */
    DEGRADED,
    /** Waiting to start again after a failure. */
    RESTARTING,
    /** Ended by {@link Host#close}. */
    STOPPED,
    /** Ended by a failure that a new start cannot mend; see the alarms. */
    FAILED
  }

  /**
   * Tells whether every partition that this host owns is being folded and delivered.
   *
   * @return true in state RUNNING only
   */
  public boolean isHealthy() {
    return state == State.RUNNING;
  }
}
