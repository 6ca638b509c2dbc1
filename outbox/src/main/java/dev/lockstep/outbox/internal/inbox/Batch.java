package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.OnFailure;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.outbox.internal.inbox.Blame.RefusedMessageException;
import dev.lockstep.outbox.internal.write.BufferingTransaction;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Handles messages of one partition in one transaction, or one by one when one of them fails. */
final class Batch {

  private static final Logger LOG = LoggerFactory.getLogger(Batch.class);

  /** A fifth of the time after which the group takes a consumer for dead. */
  private static final long LONGEST_NANOS = TimeUnit.MINUTES.toNanos(1);

  /**
   * What became of a batch.
   *
   * @param next behind the last message that is done with
   * @param refused why the message at {@code next} is not; null: all are done with
   */
  record Outcome(long next, int handled, int repeats, int parked, @Nullable String refused) {}

  private final Outbox outbox;
  private final InboxOptions options;
  private final InboxHandler handler;
  private final ParkedMessages parked;
  private final LongSupplier nanoTime;

  Batch(Outbox outbox, InboxOptions options, InboxHandler handler, LongSupplier nanoTime) {
    this.outbox = outbox;
    this.options = options;
    this.handler = handler;
    this.parked = new ParkedMessages(options.consumer());
    this.nanoTime = nanoTime;
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
      } catch (SQLException e) {
        Blame.throwIfAway(e);
        LOG.debug("A batch is done again, message by message", e);
      }
    }
    try {
      return outbox.callInTransaction(tx -> oneByOne(tx, records, taken, attempt));
    } catch (SQLException e) {
      Blame.throwIfAway(e);
      LOG.debug("The first message of a batch is done again, alone", e);
    }
    return alone(records.get(0), taken, attempt);
  }

  /** What fails with one message alone, at the commit too, is its fault. */
  private Outcome alone(ConsumerRecord<byte[], byte[]> record, Taken taken, int attempt)
      throws SQLException {
    try {
      return outbox.callInTransaction(tx -> oneByOne(tx, List.of(record), taken, attempt));
    } catch (SQLException e) {
      Blame.throwIfAway(e);
      if (!isGivenUp(attempt)) {
        return new Outcome(record.offset(), 0, 0, 0, String.valueOf(e));
      }
      return outbox.callInTransaction(
          tx -> {
            taken.begin(tx);
            park(tx, record, taken, String.valueOf(e));
            taken.end(tx, record.offset() + 1);
            return new Outcome(record.offset() + 1, 0, 0, 1, null);
          });
    }
  }

  private Outcome whole(
      OutboxTransaction tx, List<ConsumerRecord<byte[], byte[]>> records, Taken taken)
      throws SQLException {
    taken.begin(tx);
    // a deadlock takes the whole transaction back on some databases; a handler that goes on after
    // it would commit the rest alone. The savepoint is gone then
    Savepoint whole = tx.connection().setSavepoint();
    long begun = nanoTime.getAsLong();
    int handled = 0;
    int seen = 0;
    long next = records.get(0).offset();
    for (ConsumerRecord<byte[], byte[]> record : records) {
      handled += call(tx, record, taken) ? 1 : 0;
      seen++;
      next = record.offset() + 1;
      if (nanoTime.getAsLong() - begun > LONGEST_NANOS) {
        break;
      }
    }
    tx.connection().releaseSavepoint(whole);
    taken.end(tx, next);
    return new Outcome(next, handled, seen - handled, 0, null);
  }

  private Outcome oneByOne(
      OutboxTransaction tx, List<ConsumerRecord<byte[], byte[]>> records, Taken taken, int attempt)
      throws SQLException {
    taken.begin(tx);
    long begun = nanoTime.getAsLong();
    int handled = 0;
    int repeats = 0;
    int aside = 0;
    long next = records.get(0).offset();
    String refused = null;
    for (ConsumerRecord<byte[], byte[]> record : records) {
      Savepoint before = tx.connection().setSavepoint();
      try {
        boolean isNew = call(tx, record, taken);
        store(tx, before);
        handled += isNew ? 1 : 0;
        repeats += isNew ? 0 : 1;
      } catch (RefusedMessageException e) {
        tx.connection().rollback(before);
        refused = String.valueOf(e.getCause());
        if (!isGivenUp(record == records.get(0) ? attempt : 1)) {
          break;
        }
        park(tx, record, taken, refused);
        refused = null;
        aside++;
      }
      next = record.offset() + 1;
      if (nanoTime.getAsLong() - begun > LONGEST_NANOS) {
        break;
      }
    }
    taken.end(tx, next);
    return new Outcome(next, handled, repeats, aside, refused);
  }

  private boolean isGivenUp(int attempt) {
    return options.onFailure() == OnFailure.PARK && attempt >= options.attempts();
  }

  /** Its answers are stored now, so that what is wrong with them is known to be its fault. */
  private static void store(OutboxTransaction tx, Savepoint before) throws SQLException {
    try {
      if (tx instanceof BufferingTransaction own) {
        boolean unused = own.flush();
      }
      tx.connection().releaseSavepoint(before);
    } catch (SQLException e) {
      Blame.throwIfAway(e);
      throw new RefusedMessageException(e);
    }
  }

  /** Remembers it as well: a repeat must not be parked again. */
  private void park(
      OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record, Taken taken, String reason)
      throws SQLException {
    boolean isNew = true;
    try {
      isNew = taken.isNew(tx, record);
    } catch (OutboxException e) {
      LOG.debug("A message that cannot be remembered is parked", e);
    }
    if (isNew) {
      parked.put(tx, record, reason);
    }
  }

  /** Returns false for a repeat. */
  private boolean call(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record, Taken taken)
      throws SQLException {
    try {
      if (!taken.isNew(tx, record)) {
        return false;
      }
    } catch (SQLException e) {
      // another consumer may hold its line: that is not its fault
      if (isData(e)) {
        throw new RefusedMessageException(e);
      }
      throw e;
    } catch (RuntimeException e) {
      throw new RefusedMessageException(e);
    }
    Blame.call(handler, tx, record);
    return true;
  }

  private static boolean isData(SQLException e) {
    return e.getSQLState() != null && e.getSQLState().startsWith("22");
  }
}
