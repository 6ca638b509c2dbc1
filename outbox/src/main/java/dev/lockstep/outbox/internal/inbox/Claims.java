package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.Inbox;
import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.OffsetInbox;
import dev.lockstep.outbox.OffsetInbox.Claim;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.SQLException;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** Claims partitions, and compares what they hold with what comes next. Used by one thread. */
final class Claims {

  private static final Duration ANSWER = Duration.ofSeconds(5);
  private static final long DESCRIBED_SECONDS = 20;

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
    String topicId = topicId(partition.topic());
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
    long beginning = beginning(partition);
    if (next < beginning) {
      return "offsets %d to %d were deleted before they were handled; if that is accepted, %s"
          .formatted(next, beginning - 1, accepting(partition, beginning));
    }
    long end = consumer.endOffsets(List.of(partition), ANSWER).getOrDefault(partition, next);
    return next > end
        ? "the topic ends at %d, %d was handled: it lost its end; if that is accepted, %s"
            .formatted(end, next, accepting(partition, end))
        : null;
  }

  private String accepting(TopicPartition partition, long offset) {
    return options.mode() == Mode.OFFSETS
        ? "set next_offset of lockstep_inbox_offset to " + offset
        : "stop this consumer and run 'kafka-consumer-groups --bootstrap-server %s --group %s --topic %s:%d --reset-offsets --to-offset %d --execute'"
            .formatted(
                options.config().bootstrapServers(),
                options.config().named(options.consumer()),
                partition.topic(),
                partition.partition(),
                offset);
  }

  private String topicId(String topic) {
    try (Admin admin = Admin.create(options.config().client())) {
      return Objects.requireNonNull(
              admin
                  .describeTopics(List.of(topic))
                  .allTopicNames()
                  .get(DESCRIBED_SECONDS, TimeUnit.SECONDS)
                  .get(topic))
          .topicId()
          .toString();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at '" + topic + "'", e);
    } catch (ExecutionException | TimeoutException e) {
      throw new OutboxException("Topic '%s' cannot be described: %s".formatted(topic, e), e);
    }
  }
}
