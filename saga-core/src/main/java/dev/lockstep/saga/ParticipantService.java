package dev.lockstep.saga;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.saga.internal.BarrierMigration;
import dev.lockstep.saga.internal.SagaLog;
import dev.lockstep.saga.internal.participant.CommandLoop;
import dev.lockstep.schema.LockstepConfig;
import java.util.Optional;

/**
 * Runs a {@link Participant} inside its service: takes commands, calls handlers in a database
 * transaction, and replies through the service's outbox. Several instances share the commands.
 *
 * <p>Guarantee: each command takes effect at most once within the horizon, and is answered; what
 * was killed in between comes again.
 *
 * <p>The service's {@link dev.lockstep.outbox.OutboxRelay} must run somewhere, or nobody hears the
 * replies.
 */
public final class ParticipantService implements AutoCloseable {

  private final CommandLoop loop;
  private final Thread thread;

  private ParticipantService(CommandLoop loop, Thread thread) {
    this.loop = loop;
    this.thread = thread;
  }

  /**
   * Creates the barrier table if it is missing, then starts to take commands.
   *
   * @param participant handlers
   * @param outbox outbox of the service's database
   * @param config how to reach Kafka
   * @return the running participant
   * @throws SagaException when the saga log has no Layout yet: create the topics first
   */
  public static ParticipantService start(
      Participant participant, Outbox outbox, LockstepConfig config) {
    BarrierMigration.run(outbox.dataSource());
    SagaLog log = SagaLog.of(config);
    outbox.register(log.topic(), Lane.EXPRESS, log.partitions());
    CommandLoop loop = new CommandLoop(participant, outbox, config);
    Thread thread = new Thread(loop, "participant-" + participant.ref().name());
    thread.setDaemon(true);
    thread.start();
    return new ParticipantService(loop, thread);
  }

  /**
   * Tells what is wrong.
   *
   * @return the fault that is being waited out, or empty when all is well
   */
  public Optional<String> fault() {
    return Optional.ofNullable(loop.fault());
  }

  /** Finishes the commands in hand and leaves. */
  @Override
  public void close() {
    loop.stop();
    try {
      thread.join(20_000);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
