package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.Inbox;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.OffsetInbox;
import dev.lockstep.outbox.OffsetInbox.Claim;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** Claims partitions, and compares what they hold with what comes next. Used by one thread. */
final class Claims {

  private static final Duration ANSWER = Duration.ofSeconds(5);

  /**
   * Where a partition goes on.
   *
   * @param next offset that comes next
   */
  record Start(long next, Taken taken) {}

  private final Outbox outbox;
  private final InboxOptions options;
  private final OffsetInbox offsets;
  private final Inbox ids;
  private final Consumer<byte[], byte[]> consumer;

  Claims(Outbox outbox, InboxOptions options, Consumer<byte[], byte[]> consumer) {
    this.outbox = outbox;
    this.options = options;
    this.offsets = new OffsetInbox(options.consumer());
    this.ids = new Inbox(options.consumer());
    this.consumer = consumer;
  }

  /**
   * Claims a partition that was assigned. With ids the offset is the group's, in Kafka.
   *
   * @throws SQLException from the database; or whoever claimed before stands still in a transaction
   */
  Start claim(TopicPartition partition) throws SQLException {
    if (options.mode() == Mode.IDS) {
      OffsetAndMetadata committed = consumer.committed(Set.of(partition), ANSWER).get(partition);
      long next = committed == null ? beginning(partition) : committed.offset();
      return new Start(next, new ById(ids, next));
    }
    Claim claim = claimOffset(partition);
    return new Start(claim.nextOffset(), new ByOffset(offsets, claim));
  }

  private Claim claimOffset(TopicPartition partition) throws SQLException {
    String topicId;
    try (InboxTopics topics = new InboxTopics(options)) {
      topicId = topics.topicId(partition.topic());
    }
    return outbox.callInTransaction(
        tx -> {
          Dialect.of(tx.connection()).limitLockWaits(tx.connection());
          return offsets.claim(
              tx.connection(),
              partition.topic(),
              topicId,
              partition.partition(),
              beginning(partition));
        });
  }

  private long beginning(TopicPartition partition) {
    return consumer.beginningOffsets(List.of(partition), ANSWER).getOrDefault(partition, 0L);
  }

  /** Returns what is wrong where records that nobody handled are gone; null: none are. */
  @Nullable String missing(TopicPartition partition, long next) {
    long end = consumer.endOffsets(List.of(partition), ANSWER).getOrDefault(partition, next);
    Gap gap = Gap.between(next, beginning(partition), end);
    return gap == null ? null : gap.describe() + accepting();
  }

  private String accepting() {
    return options.mode() == Mode.OFFSETS
        ? "; if that is accepted, InboxAdmin.acceptLoss lets it go on"
        : "; if that is accepted, stop this consumer, and InboxAdmin.acceptLoss lets it go on";
  }
}
