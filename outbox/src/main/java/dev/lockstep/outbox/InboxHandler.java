package dev.lockstep.outbox;

import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a service does with a message. */
@FunctionalInterface
public interface InboxHandler {

  /**
   * Handles a message inside the transaction that also remembers it. What it writes and publishes
   * there happens once; anything else may happen again.
   *
   * @param tx the open transaction; {@code tx.publish} answers in the same one
   * @param record the message; never one that was handled before
   * @throws Exception to roll back what was done for this message: see {@link
   *     InboxOptions#onFailure}
   */
  void handle(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record) throws Exception;
}
