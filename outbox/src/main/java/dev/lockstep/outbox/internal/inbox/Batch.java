package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.OnFailure;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxTransaction;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Handles messages of one partition in one transaction, or one by one when one of them fails. */
final class Batch {

  private static final Logger LOG = LoggerFactory.getLogger(Batch.class);

  /**
   * What became of a batch.
   *
   * @param next behind the last message that is done with
   * @param refused why the message at {@code next} is not; null: all are done with
   */
  record Outcome(long next, int handled, int repeats, int parked, @Nullable String refused) {}

  /** Thrown by a handler: the message is to blame, not the database. */
  private static final class HandlerException extends SQLException {
    private static final long serialVersionUID = 1L;

    HandlerException(Exception cause) {
      super(cause);
    }
  }

  private final Outbox outbox;
  private final InboxOptions options;
  private final InboxHandler handler;
  private final ParkedMessages parked;

  Batch(Outbox outbox, InboxOptions options, InboxHandler handler) {
    this.outbox = outbox;
    this.options = options;
    this.handler = handler;
    this.parked = new ParkedMessages(options.consumer());
  }

  /**
   * Handles messages, the oldest first.
   *
   * @param attempt how often the first of them was tried, this time included
   * @throws SQLException from the database: nothing is done, all come again
   */
  Outcome handle(List<ConsumerRecord<byte[], byte[]>> records, Taken taken, int attempt)
      throws SQLException {
    if (attempt == 1) {
      try {
        return outbox.callInTransaction(tx -> whole(tx, records, taken));
      } catch (HandlerException e) {
        LOG.debug("A batch is done again, message by message", e);
      }
    }
    return outbox.callInTransaction(tx -> oneByOne(tx, records, taken, attempt));
  }

  private Outcome whole(
      OutboxTransaction tx, List<ConsumerRecord<byte[], byte[]>> records, Taken taken)
      throws SQLException {
    taken.begin(tx);
    int handled = 0;
    for (ConsumerRecord<byte[], byte[]> record : records) {
      handled += call(tx, record, taken) ? 1 : 0;
    }
    long next = records.get(records.size() - 1).offset() + 1;
    taken.end(tx, next);
    return new Outcome(next, handled, records.size() - handled, 0, null);
  }

  private Outcome oneByOne(
      OutboxTransaction tx, List<ConsumerRecord<byte[], byte[]>> records, Taken taken, int attempt)
      throws SQLException {
    taken.begin(tx);
    int handled = 0;
    int repeats = 0;
    int aside = 0;
    long next = records.get(0).offset();
    String refused = null;
    for (ConsumerRecord<byte[], byte[]> record : records) {
      Savepoint before = tx.connection().setSavepoint();
      try {
        boolean isNew = call(tx, record, taken);
        handled += isNew ? 1 : 0;
        repeats += isNew ? 0 : 1;
        tx.connection().releaseSavepoint(before);
      } catch (HandlerException e) {
        tx.connection().rollback(before);
        refused = String.valueOf(e.getCause());
        boolean isFirst = record == records.get(0);
        if (options.onFailure() == OnFailure.WAIT || (isFirst ? attempt : 1) < options.attempts()) {
          break;
        }
        parked.put(tx, record, refused);
        refused = null;
        aside++;
      }
      next = record.offset() + 1;
    }
    taken.end(tx, next);
    return new Outcome(next, handled, repeats, aside, refused);
  }

  /** Returns false for a repeat. */
  private boolean call(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record, Taken taken)
      throws HandlerException {
    try {
      if (!taken.isNew(tx, record)) {
        return false;
      }
      handler.handle(tx, record);
      return true;
    } catch (Exception e) {
      throw new HandlerException(e);
    }
  }
}
