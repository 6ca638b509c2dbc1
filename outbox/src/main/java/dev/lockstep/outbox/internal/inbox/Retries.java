package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.internal.inbox.Blame.RefusedMessageException;
import dev.lockstep.outbox.internal.sql.Connections;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Handles messages again that were parked and that an operator released. By the owner of their
 * partition, so that messages of a partition still come one at a time; that each comes once does
 * not depend on it, but on the lock on its row, which is deleted in the handler's transaction.
 */
final class Retries {

  private static final Logger LOG = LoggerFactory.getLogger(Retries.class);
  private static final int AT_ONCE = 100;

  private final Outbox outbox;
  private final InboxOptions options;
  private final InboxHandler handler;
  private final ParkedMessages parked;

  Retries(Outbox outbox, InboxOptions options, InboxHandler handler) {
    this.outbox = outbox;
    this.options = options;
    this.handler = handler;
    this.parked = new ParkedMessages(options.consumer());
  }

  /** Returns where messages wait. */
  Set<TopicPartition> partitions() throws SQLException {
    try (Connection connection = Connections.committing(outbox.dataSource())) {
      return parked.released(connection);
    }
  }

  /** Returns some of them, the oldest first. */
  List<Long> of(TopicPartition partition) throws SQLException {
    try (Connection connection = Connections.committing(outbox.dataSource())) {
      return parked.released(connection, partition, AT_ONCE);
    }
  }

  /**
   * Handles one of them.
   *
   * @return false when it was refused again, or is not there any more
   * @throws SQLException from the database: nothing is done, it is tried again
   */
  boolean handle(long n, Taken taken) throws SQLException {
    try {
      return outbox.callInTransaction(
          tx -> {
            // who was replaced is refused here, where there is a claim
            taken.begin(tx);
            ConsumerRecord<byte[], byte[]> record = parked.take(tx.connection(), n);
            if (record == null) {
              return false;
            }
            // gone if the handler goes on behind a deadlock, which takes the deletion back as well
            Savepoint before = tx.connection().setSavepoint();
            Blame.call(handler, tx, record);
            tx.connection().releaseSavepoint(before);
            return true;
          });
    } catch (SQLException e) {
      @Nullable Throwable thrown = e instanceof RefusedMessageException ? e.getCause() : e;
      if (thrown instanceof SQLException refused) {
        // here there are no attempts to be counted: a deadlock need not come to an operator again
        Blame.throwIfAway(refused);
      }
      String reason = String.valueOf(thrown);
      LOG.warn("Parked message {} of '{}' was refused again: {}", n, options.consumer(), reason);
      outbox.inTransaction(tx -> parked.refuse(tx.connection(), n, reason));
      return false;
    }
  }
}
