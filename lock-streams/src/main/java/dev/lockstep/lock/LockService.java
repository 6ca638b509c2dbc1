package dev.lockstep.lock;

import dev.lockstep.kernel.Host;
import dev.lockstep.kernel.HostHealth;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.HostStats;
import dev.lockstep.kernel.Twin;

/**
 * Decides locks: one instance is enough, several share the partitions and take over from each
 * other.
 *
 * <p>Guarantee: never two holders of a key in log order; tokens rise; grants survive the kill of
 * any process.
 */
public final class LockService implements AutoCloseable {

  private final Host host;

  private LockService(Host host) {
    this.host = host;
  }

  /**
   * Checks topics and brokers, then starts.
   *
   * @param options how to run here
   * @return the running service
   * @throws dev.lockstep.kernel.StartRefusedException when topics, brokers or this release do not
   *     fit; all faults at once
   */
  public static LockService start(HostOptions options) {
    return new LockService(Host.start(LockTopics.machine(options.config()), options));
  }

  /**
   * Starts a twin of the lock services: it announces grants from the same log, so that a service
   * that is killed delays nobody. It decides nothing on its own and keeps nothing; at least one
   * service must run beside it.
   *
   * @param options how to run here; the state directory is not used
   * @return a running twin
   * @throws dev.lockstep.kernel.StartRefusedException when this release does not fit the topics
   */
  public static Twin startTwin(HostOptions options) {
    return Twin.start(LockTopics.machine(options.config()), options);
  }

  /**
   * Tells how the service is.
   *
   * @return state, stopped partitions, alarms
   */
  public HostHealth health() {
    return host.health();
  }

  /**
   * Tells what the service has done; see {@link LockMetrics}.
   *
   * @return counts as of now
   */
  public HostStats stats() {
    return host.stats();
  }

  /** Commits, hands its partitions over and ends. */
  @Override
  public void close() {
    host.close();
  }
}
