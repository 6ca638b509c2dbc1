package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.Inbox;
import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.RowSource;
import java.sql.SQLException;
import java.time.DateTimeException;
import java.time.Instant;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * One row for each message: by the row of the outbox that it comes from, else by {@code ce_source}
 * and {@code ce_id}, else by its place in the topic, which knows repeats of readers but not those
 * of senders.
 */
final class ById implements Taken {

  private final Inbox inbox;
  private long next;

  /**
   * @param next offset that its group has in Kafka
   */
  ById(Inbox inbox, long next) {
    this.inbox = inbox;
    this.next = next;
  }

  @Override
  public void begin(OutboxTransaction tx) {
    // each message has its own row
  }

  @Override
  public boolean isNew(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record)
      throws SQLException {
    return inbox.isFirst(tx.connection(), id(record), time(record));
  }

  @Override
  public long next() {
    return next;
  }

  @Override
  public void reached(long nextOffset) {
    next = Math.max(next, nextOffset);
  }

  @Override
  public void end(OutboxTransaction tx, long nextOffset) {
    // the offset is Kafka's
  }

  private static String id(ConsumerRecord<byte[], byte[]> record) {
    RowSource row = RowSource.of(record.headers());
    if (row != null) {
      return row.row().toString();
    }
    String id = LockstepHeaders.text(record.headers(), LockstepHeaders.CE_ID);
    String source = LockstepHeaders.text(record.headers(), LockstepHeaders.CE_SOURCE);
    return id == null
        ? "%s-%d@%d".formatted(record.topic(), record.partition(), record.offset())
        : (source == null ? record.topic() : source) + " " + id;
  }

  /** A repeat has the same: its own time, which the sender wrote down once. */
  private static Instant time(ConsumerRecord<byte[], byte[]> record) {
    String time = LockstepHeaders.text(record.headers(), LockstepHeaders.CE_TIME);
    if (time != null) {
      try {
        return Instant.parse(time);
      } catch (DateTimeException e) {
        // then the record's
      }
    }
    return Instant.ofEpochMilli(record.timestamp());
  }
}
