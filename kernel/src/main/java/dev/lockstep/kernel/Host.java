package dev.lockstep.kernel;

import dev.lockstep.kernel.internal.streams.StreamsHost;

/**
 * Runs a machine on Kafka Streams: folds the input partitions that the group gives to this
 * instance, commits their state with {@code exactly_once_v2}, and announces effects at once.
 *
 * <p>Guarantee: in each destination partition the first occurrences of a source's effects are
 * complete and in order, whatever is killed or paused; repeats are dropped by {@link
 * dev.lockstep.schema.PositionMark}. After a crash the successor goes on where the log stands.
 *
 * <p>Threads: start and close by one thread; health by any.
 */
public final class Host implements AutoCloseable {

  private final StreamsHost host;

  private Host(StreamsHost host) {
    this.host = host;
  }

  /**
   * Checks everything, then starts.
   *
   * @param machine what to run
   * @param options how to run it here
   * @return the running host
   * @throws StartRefusedException when topics, brokers or this release do not fit; nothing was
   *     started, and no group was joined. The message lists all faults
   */
  public static Host start(MachineSpec machine, HostOptions options) {
    StreamsHost host = new StreamsHost(machine, options);
    host.start();
    return new Host(host);
  }

  /**
   * Tells how the host is.
   *
   * @return state, stopped partitions, alarms
   */
  public HostHealth health() {
    return host.health();
  }

  /**
   * Tells what the host has done.
   *
   * @return counts as of now
   */
  public HostStats stats() {
    return host.stats();
  }

  /** Commits, leaves the group at once and ends; others take over without waiting. */
  @Override
  public void close() {
    host.close();
  }
}
