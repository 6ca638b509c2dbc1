package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.InboxOptions;
import dev.lockstep.outbox.OutboxException;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalLong;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.UnknownMemberIdException;
import org.jspecify.annotations.Nullable;

/** What Kafka knows of a consumer's topics and offsets. */
public final class InboxTopics implements AutoCloseable {

  private static final long ANSWER_SECONDS = 20;
  private static final Duration LEADER_CHANGE = Duration.ofSeconds(5);
  private static final long PAUSE_NANOS = Duration.ofMillis(200).toNanos();

  private final InboxOptions options;
  private final Admin admin;

  public InboxTopics(InboxOptions options) {
    this.options = options;
    this.admin = Admin.create(options.config().client());
  }

  @Override
  public void close() {
    admin.close();
  }

  /** Returns the id that a topic has now. */
  public String topicId(String topic) {
    String what = "Topic '%s' cannot be described".formatted(topic);
    return Objects.requireNonNull(
            get(admin.describeTopics(List.of(topic)).allTopicNames(), what).get(topic))
        .topicId()
        .toString();
  }

  /**
   * Returns what is missing before the next record; null: nothing is. An end that is lost is looked
   * at again for a while: behind a change of leaders it may come back.
   */
  public @Nullable Gap gap(TopicPartition partition, long next) {
    long giveUp = System.nanoTime() + LEADER_CHANGE.toNanos();
    Gap gap = gapNow(partition, next);
    while (gap != null && gap.isAtTheEnd() && System.nanoTime() < giveUp) {
      LockSupport.parkNanos(PAUSE_NANOS);
      gap = gapNow(partition, next);
    }
    return gap;
  }

  private @Nullable Gap gapNow(TopicPartition partition, long next) {
    return Gap.between(
        next, offset(partition, OffsetSpec.earliest()), offset(partition, OffsetSpec.latest()));
  }

  private long offset(TopicPartition partition, OffsetSpec spec) {
    return get(
            admin
                .listOffsets(
                    Map.of(partition, spec), new ListOffsetsOptions(IsolationLevel.READ_COMMITTED))
                .partitionResult(partition),
            "Offsets of %s cannot be read".formatted(partition))
        .offset();
  }

  /** Returns the group's offset; empty when it has none. */
  public OptionalLong committed(TopicPartition partition) {
    OffsetAndMetadata committed =
        get(
                admin.listConsumerGroupOffsets(group()).partitionsToOffsetAndMetadata(),
                "Offsets of group '%s' cannot be read".formatted(group()))
            .get(partition);
    return committed == null ? OptionalLong.empty() : OptionalLong.of(committed.offset());
  }

  /** Sets the group's offset; refused while the group has members. */
  public void commit(TopicPartition partition, long next) {
    get(
        admin
            .alterConsumerGroupOffsets(group(), Map.of(partition, new OffsetAndMetadata(next)))
            .all(),
        "Group '%s' cannot be set to %d of %s".formatted(group(), next, partition));
  }

  private String group() {
    return options.config().named(options.consumer());
  }

  private <T> T get(KafkaFuture<T> answer, String what) {
    try {
      return answer.get(ANSWER_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException(what + ": interrupted", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownMemberIdException) {
        throw new OutboxException(
            what
                + ": consumer '%s' runs, and Kafka keeps its offsets; stop it in all processes first"
                    .formatted(options.consumer()),
            e);
      }
      throw new OutboxException(what + ": " + e.getCause(), e);
    } catch (TimeoutException e) {
      throw new OutboxException(
          what
              + ": brokers at %s do not answer within %d s"
                  .formatted(options.config().bootstrapServers(), ANSWER_SECONDS),
          e);
    }
  }
}
