package dev.lockstep.kernel.internal.streams;

import java.time.Duration;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.errors.TaskMigratedException;

/**
 * Ties the state to the log: every record must be exactly the next one (rule 5). Thread-safe.
 *
 * <p>What does not fit is never skipped. The first time the fold starts again from the committed
 * state, with the local store wiped: a store left ahead of its commit, or a consumer that was not
 * rewound, is mended by that. The second time, or when the next record is gone, the partition stops
 * and says what is lost.
 */
final class LogGuard {

  private static final Duration LEADER_CHANGE = Duration.ofSeconds(5);

  private final LogReader log;
  private final StoppedPartitions stopped;
  private final Alarms alarms;
  private final Map<TopicPartition, Long> startedAgainAt = new ConcurrentHashMap<>();

  LogGuard(LogReader log, StoppedPartitions stopped, Alarms alarms) {
    this.log = log;
    this.stopped = stopped;
    this.alarms = alarms;
  }

  /** Checks a restored state against its log; stops the partition when they do not fit. */
  void onAssigned(TopicPartition partition, long nextOffset) {
    LogReader.Range range = rangeIncluding(partition, nextOffset);
    if (nextOffset < range.start()) {
      stop(
          partition,
          "%s: the next record is %d, the log begins at %d: records %d to %d are lost; restore them, or start a new topic epoch from a snapshot"
              .formatted(partition, nextOffset, range.start(), nextOffset, range.start() - 1));
    } else if (nextOffset > range.end()) {
      stop(
          partition,
          "%s: the state stands at %d, the log ends at %d: acknowledged records were lost; start a new topic epoch"
              .formatted(partition, nextOffset, range.end()));
    }
  }

  /**
   * Checks a record that is not the next one; returns when only a transaction's marker stood
   * between.
   *
   * @throws TaskMigratedException when the fold must start again from the committed state
   */
  void onRecord(TopicPartition partition, long nextOffset, long offset) {
    if (offset > nextOffset && isNextInLog(partition, nextOffset, offset)) {
      alarms.raise(
          "foreign transaction in " + partition,
          "%s: offsets %d to %d hold no record: somebody writes to this input topic with a transaction; take its right to write away (rule 4)"
              .formatted(partition, nextOffset, offset - 1));
      return;
    }
    Long before = startedAgainAt.put(partition, nextOffset);
    if (before != null && before == nextOffset) {
      stop(
          partition,
          "%s: the next record is %d, the consumer delivers %d, also after a new start from the committed state: group offsets were lost or set; set them to %d"
              .formatted(partition, nextOffset, offset, nextOffset));
    }
    throw new TaskMigratedException(
        "%s: expected offset %d, got %d; the fold starts again from the committed state"
            .formatted(partition, nextOffset, offset));
  }

  /** Forgets an earlier new start: the fold has moved on. */
  void onProgress(TopicPartition partition) {
    if (!startedAgainAt.isEmpty()) {
      startedAgainAt.remove(partition);
    }
  }

  /** Remembers a torn store; true when it was torn at this place before. */
  boolean onTorn(TopicPartition partition, long nextOffset) {
    Long before = startedAgainAt.put(partition, nextOffset);
    return before != null && before == nextOffset;
  }

  void stop(TopicPartition partition, String reason) {
    if (stopped.stop(partition, reason)) {
      alarms.raise("stopped " + partition, reason);
    }
  }

  private boolean isNextInLog(TopicPartition partition, long nextOffset, long offset) {
    try {
      if (log.range(partition).start() > nextOffset) {
        stop(
            partition,
            "%s: the next record is %d, but the log now begins later: records were deleted before they were folded; restore them, or start a new topic epoch from a snapshot"
                .formatted(partition, nextOffset));
        return false;
      }
      OptionalLong first = log.firstFrom(partition, nextOffset);
      return first.isPresent() && first.getAsLong() == offset;
    } catch (KafkaException e) {
      throw new TaskMigratedException(
          "%s: the log could not be read from %d".formatted(partition, nextOffset), e);
    }
  }

  /** After a leader change the end of the log may lag for a moment. */
  private LogReader.Range rangeIncluding(TopicPartition partition, long nextOffset) {
    long end = System.nanoTime() + LEADER_CHANGE.toNanos();
    LogReader.Range range = null;
    KafkaException failure = null;
    while (range == null || (nextOffset > range.end() && System.nanoTime() < end)) {
      try {
        range = log.range(partition);
      } catch (KafkaException e) {
        failure = e;
        if (System.nanoTime() > end) {
          throw new TaskMigratedException("Log of " + partition + " cannot be read", failure);
        }
      }
    }
    return range;
  }
}
