package dev.lockstep.saga;

import dev.lockstep.kernel.Host;
import dev.lockstep.kernel.HostHealth;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.saga.internal.Definitions;
import dev.lockstep.saga.internal.SagaLog;
import dev.lockstep.schema.LockstepConfig;
import java.util.Collection;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides sagas: one instance is enough, several share the partitions and take over from each
 * other.
 *
 * <p>Guarantee: every started saga ends completed, compensated or parked; nothing is lost by the
 * kill of any process.
 */
public final class SagaService implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(SagaService.class);

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
    compare(new Definitions(sagas), options.config());
    return new SagaService(Host.start(SagaTopics.machine(options.config(), sagas), options));
  }

  private static void compare(Definitions definitions, LockstepConfig config) {
    Optional<SagaLog> log;
    try {
      log = SagaLog.find(config);
    } catch (KernelException e) {
      // no broker, no control topic: the host reports it with everything else that is missing
      return;
    }
    log.map(definitions::requireUnchanged)
        .filter(missing -> !missing.isEmpty())
        .ifPresent(
            missing ->
                LOG.warn(
                    "Not allowed by the Layout yet, their sagas are rejected: {}; call SagaTopics.allow when every instance knows them",
                    missing));
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
