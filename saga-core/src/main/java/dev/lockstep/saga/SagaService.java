package dev.lockstep.saga;

import dev.lockstep.kernel.Host;
import dev.lockstep.kernel.HostHealth;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.saga.internal.Definitions;
import dev.lockstep.saga.internal.SagaLog;
import java.util.Collection;

/**
 * Decides sagas: one instance is enough, several share the partitions and take over from each
 * other.
 *
 * <p>Guarantee: every started saga ends completed, compensated or parked; nothing is lost by the
 * kill of any process.
 */
public final class SagaService implements AutoCloseable {

  private final Host host;

  private SagaService(Host host) {
    this.host = host;
  }

  /**
   * Checks topics and brokers, then starts.
   *
   * @param sagas all definitions, older versions with running instances included
   * @param options how to run here
   * @return the running service
   * @throws dev.lockstep.kernel.StartRefusedException when topics, brokers or this release do not
   *     fit; all faults at once
   * @throws SagaException when a definition differs from the one of that name and version in the
   *     Layout: every change is a new version. One that is not in the Layout yet is a warning, and
   *     its sagas are rejected until {@link SagaTopics#allow}
   */
  public static SagaService start(Collection<Saga<?>> sagas, HostOptions options) {
    SagaLog.requireUnchanged(options.config(), new Definitions(sagas));
    return new SagaService(Host.start(SagaTopics.machine(options.config(), sagas), options));
  }

  /**
   * Tells how the service is.
   *
   * @return state, stopped partitions, alarms
   */
  public HostHealth health() {
    return host.health();
  }

  /** Commits, hands its partitions over and ends. */
  @Override
  public void close() {
    host.close();
  }
}
