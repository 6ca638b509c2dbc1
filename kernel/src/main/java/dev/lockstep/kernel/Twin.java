package dev.lockstep.kernel;

import dev.lockstep.kernel.internal.follow.Followers;
import dev.lockstep.kernel.internal.follow.LogFollower;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A second announcer beside the hosts: folds the same log in memory and announces the same effects,
 * so that a host that is killed delays nobody. It owns nothing and commits nothing; a {@link Host}
 * must run for state to be committed.
 *
 * <p>Guarantee: its announcements are byte for byte those of the host, in the same order, so
 * receivers drop one of the two (rule 6 of decision 0002). Killed or paused at any time, it leaves
 * nothing behind.
 *
 * <p>Price: each effect is written twice, and all state is kept in memory. It needs the host's
 * rights to read, and to write effects and ticks.
 *
 * <p>Threads: all methods by any thread.
 */
public final class Twin implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Twin.class);

  private final LogFollower follower;

  private Twin(LogFollower follower) {
    this.follower = follower;
  }

  /**
   * Starts a twin of the hosts, on all partitions.
   *
   * @param machine what the hosts run
   * @param options as for a host; the state directory is not used
   * @return a running twin
   * @throws StartRefusedException when the topic has no Layout, or asks for a logic version that
   *     this program lacks
   */
  public static Twin start(MachineSpec machine, HostOptions options) {
    return new Twin(
        Followers.announcing(
            machine,
            options,
            failure ->
                LOG.warn(
                    "Twin of '{}' could not announce and begins again from committed state: {}",
                    machine.inputTopic(),
                    failure)));
  }

  /**
   * Returns where each partition stands.
   *
   * @return progress by partition
   */
  public Map<Integer, Follower.Progress> progress() {
    return follower.progress();
  }

  /**
   * Tells whether it announces on every partition.
   *
   * @return true when a host may be killed without a delay
   */
  public boolean isReady() {
    return progress().values().stream().allMatch(each -> each.state() == Follower.State.FOLLOWING);
  }

  /** Ends it. */
  @Override
  public void close() {
    follower.close();
  }
}
