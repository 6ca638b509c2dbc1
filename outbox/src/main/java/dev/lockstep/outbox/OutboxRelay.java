package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.relay.RelayGroup;
import dev.lockstep.outbox.internal.write.TopicTable;

/**
 * Publishes what an {@link Outbox} holds. Runs inside the service or beside it; several relays of
 * one outbox share its shards and take over from each other.
 *
 * <p>Guarantee: exactly once into Kafka on the exactly-once lane; at least once, each row with a
 * stable id, on the express lane. Order per key as committed. Safety comes from Kafka's fencing of
 * transactional ids, never from a clock or from who believes to own a shard.
 *
 * <p>Shape of the records: key, payload and headers of the message; added are {@code lockstep-row}
 * ({@link dev.lockstep.schema.RowSource}) and the CloudEvents attributes.
 */
public final class OutboxRelay implements AutoCloseable {

  private final RelayGroup group;
  private final Runnable closing;

  private OutboxRelay(RelayGroup group, Runnable closing) {
    this.group = group;
    this.closing = closing;
  }

  /**
   * Starts a relay in this process; commits of {@code outbox} wake it.
   *
   * @param outbox what to publish
   * @param options how to run
   * @return the running relay
   * @throws OutboxException when the position topic is missing, has another partition count, or is
   *     not the one that the outbox was published with: a cluster or topic made anew would get
   *     everything in the ledger again. Also when a registered topic never was, the database or
   *     (for 20 s) Kafka does not answer, the log cannot be followed, or a reconcile is under way
   */
  public static OutboxRelay start(Outbox outbox, RelayOptions options) {
    RelayGroup group =
        new RelayGroup(outbox.dataSource(), new TopicTable(outbox.dataSource()), options);
    group.start();
    Runnable wake = group::wake;
    outbox.onCommit(wake);
    return new OutboxRelay(
        group,
        () -> {
          outbox.forget(wake);
          group.close();
        });
  }

  /**
   * Tells how the relay is.
   *
   * @return shards and faults
   */
  public RelayHealth health() {
    return group.health();
  }

  /**
   * Tells what the relay did and what waits.
   *
   * @return counts since the start, and the backlog
   */
  public RelayStats stats() {
    return group.stats();
  }

  /** Finishes what is in flight, hands the shards over and ends. Waits; 20 s for each shard. */
  @Override
  public void close() {
    closing.run();
  }
}
