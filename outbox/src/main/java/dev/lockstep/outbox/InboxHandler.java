package dev.lockstep.outbox;

import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What a service does with a message. */
@FunctionalInterface
public interface InboxHandler {

  /**
   * Handles a message inside the transaction that also remembers it. What it writes and publishes
   * there happens once; anything else may happen again: a message comes again when its transaction
   * was rolled back, also within one attempt, since a batch that fails is handled anew one by one.
   *
   * <p>Must return well within {@code max.poll.interval.ms} (five minutes unless set), or the
   * partition goes to another consumer and nothing of it is committed here.
   *
   * @param tx the open transaction; what is written over any other connection is not part of it.
   *     {@code tx.publish} answers in the same one
   * @param record the message; never one that was handled before
   * @throws Exception to roll back what was done for this message: see {@link
   *     InboxOptions#onFailure}
   */
  void handle(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record) throws Exception;
}
