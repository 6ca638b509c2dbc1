package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.OutboxTransaction;
import java.sql.SQLException;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** What is remembered of a partition's messages, inside the handler's transaction. */
interface Taken {

  /** The transaction begins. */
  void begin(OutboxTransaction tx) throws SQLException;

  /** Tells whether a message is new, and remembers it with the transaction. */
  boolean isNew(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record) throws SQLException;

  /** Where it stands, as far as this consumer knows. */
  long next();

  /** The transaction of {@link #end} is committed. */
  void reached(long nextOffset);

  /** The transaction ends behind a message. */
  void end(OutboxTransaction tx, long nextOffset) throws SQLException;
}
