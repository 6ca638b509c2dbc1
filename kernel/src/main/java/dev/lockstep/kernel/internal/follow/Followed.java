package dev.lockstep.kernel.internal.follow;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.LogTime;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.internal.engine.Fold;
import dev.lockstep.kernel.internal.engine.LogRecord;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.kernel.CarriedMark;
import java.util.List;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** One partition of a follower. Thread-safe: folded by one thread, read by any. */
final class Followed {

  private final TopicPartition partition;
  private @Nullable Fold fold;
  private Follower.State state = Follower.State.SEEDING;
  private String reason = "";
  private int seeds;

  Followed(TopicPartition partition) {
    this.partition = partition;
  }

  TopicPartition partition() {
    return partition;
  }

  /** Takes up a state; the log goes on at its next offset. */
  synchronized void seeded(Fold taken) {
    if (state == Follower.State.SEEDING) {
      fold = taken;
      state = Follower.State.FOLLOWING;
      reason = "";
      seeds = 0;
    }
  }

  /** Drops the state: it must be seeded again. Returns how often in a row that was so. */
  synchronized int seedAgain(String why) {
    if (state != Follower.State.STOPPED) {
      fold = null;
      state = Follower.State.SEEDING;
      reason = why;
    }
    return ++seeds;
  }

  /** Ends it for good. */
  synchronized void stop(String why) {
    if (state != Follower.State.STOPPED) {
      fold = null;
      state = Follower.State.STOPPED;
      reason = why;
    }
  }

  synchronized Follower.Progress progress() {
    return new Follower.Progress(state, fold == null ? 0 : fold.nextOffset(), reason);
  }

  synchronized boolean isFollowing() {
    return state == Follower.State.FOLLOWING;
  }

  synchronized long nextOffset() {
    return requireNonNull(fold).nextOffset();
  }

  /** What a twin must know to tick. */
  record Waiting(LogTime now, Deadlines deadlines) {}

  synchronized @Nullable Waiting waiting() {
    return fold == null ? null : new Waiting(fold.now(), fold.deadlines());
  }

  /** Returns who sent the tick that was folded last; null when the last record was none. */
  synchronized @Nullable String ticked() {
    return fold == null ? null : fold.tickedBy();
  }

  /** Folds the next record; passes markers of transactions, which stand between offsets. */
  synchronized List<Announcement> apply(ConsumerRecord<byte[], byte[]> record) {
    Fold current = requireNonNull(fold);
    if (record.offset() < current.nextOffset()) {
      throw new KernelException(
          "%s: got offset %d again, the next one is %d"
              .formatted(partition, record.offset(), current.nextOffset()));
    }
    if (record.offset() > current.nextOffset()) {
      // the consumer stood at the next offset and would have said so if the log began later
      current.skipTo(record.offset());
    }
    return current.apply(
        new LogRecord(
            partition.partition(),
            record.offset(),
            record.timestamp(),
            record.leaderEpoch().orElse(-1),
            record.key(),
            record.value(),
            LockstepHeaders.text(record.headers(), LockstepHeaders.POSITION)));
  }

  /** Returns log time at the last record. */
  synchronized LogTime now() {
    if (fold == null) {
      throw new KernelException("%s cannot be read here: %s".formatted(partition, state));
    }
    return fold.now();
  }

  /** Returns what was taken from each source. */
  synchronized List<CarriedMark> marks() {
    if (fold == null) {
      throw new KernelException("%s cannot be read here: %s".formatted(partition, state));
    }
    return fold.marks();
  }

  /** Shows the state between two records. */
  synchronized <T> T read(Function<Store, T> reader) {
    if (fold == null) {
      throw new KernelException(
          "%s cannot be read here: %s%s"
              .formatted(partition, state, reason.isEmpty() ? "" : ", " + reason));
    }
    return reader.apply(fold.view());
  }
}
