package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.OffsetInbox;
import dev.lockstep.outbox.OffsetInbox.Claim;
import dev.lockstep.outbox.OutboxTransaction;
import java.sql.SQLException;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** One row for the partition. */
final class ByOffset implements Taken {

  private final OffsetInbox inbox;
  private final Claim claim;
  private long next;

  ByOffset(OffsetInbox inbox, Claim claim) {
    this.inbox = inbox;
    this.claim = claim;
    this.next = claim.nextOffset();
  }

  @Override
  public void begin(OutboxTransaction tx) throws SQLException {
    next = inbox.begin(tx.connection(), claim);
  }

  @Override
  public boolean isNew(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record) {
    return record.offset() >= next;
  }

  @Override
  public long next() {
    return next;
  }

  @Override
  public void end(OutboxTransaction tx, long nextOffset) throws SQLException {
    if (nextOffset > next) {
      inbox.end(tx.connection(), claim, nextOffset);
    }
  }

  @Override
  public void reached(long nextOffset) {
    next = Math.max(next, nextOffset);
  }
}
