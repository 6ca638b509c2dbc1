package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.inbox.InboxLoop;

/**
 * Handles each message of some topics once: message, what the handler wrote, and what it published
 * are one database transaction. A batch of a partition is one transaction; if a handler fails in it
 * the batch is done again, message by message behind savepoints, so that only the one that fails is
 * rolled back. Partitions are shared among the consumers of one name, as in any consumer group.
 *
 * <p>Guarantee: exactly once into the database, whatever dies when, in the order of each partition.
 * One that was replaced while it stood still cannot commit any more.
 *
 * <p>Reads committed records only: with Kafka's default a reader sees sends that were aborted.
 */
public final class InboxConsumer implements AutoCloseable {

  private final InboxLoop loop;

  private InboxConsumer(InboxLoop loop) {
    this.loop = loop;
  }

  /**
   * Starts a consumer on a thread of its own.
   *
   * @param outbox whose database has the inbox
   * @param options how messages are taken
   * @param handler called on that thread, one message at a time
   * @return the running consumer
   * @throws OutboxException when a topic is missing, or registered here with the express lane while
   *     repeats are to be known by offset: a repeat has an offset of its own there
   */
  public static InboxConsumer start(Outbox outbox, InboxOptions options, InboxHandler handler) {
    InboxLoop loop = new InboxLoop(outbox, options, handler);
    loop.start();
    return new InboxConsumer(loop);
  }

  /**
   * Tells how the consumer is.
   *
   * @return counts and faults
   */
  public InboxHealth health() {
    return loop.health();
  }

  /** Ends the batch that is being handled and leaves the group. Waits, 20 s at most. */
  @Override
  public void close() {
    loop.close();
  }
}
