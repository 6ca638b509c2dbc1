package dev.lockstep.lock.internal.events;

import dev.lockstep.lock.LockEvent;
import dev.lockstep.schema.PositionMark;
import java.util.Collection;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/** How a consumer of lock events hands them over, and remembers where it stands. One thread. */
public interface Progress {

  /**
   * Where a consumer goes on.
   *
   * @param next offset of the next record
   * @param mark position of the last event that was taken; null: none was
   */
  record Place(long next, @Nullable PositionMark mark) {}

  /** Returns where a partition goes on; null: it has never begun. */
  @Nullable Place load(TopicPartition partition) throws Exception;

  /** Notes where a partition begins, at once: a restart before the first event begins there too. */
  void begin(TopicPartition partition, Place place) throws Exception;

  /** Hands an event over and moves behind it. */
  void handle(TopicPartition partition, LockEvent event, Place behind) throws Exception;

  /** Moves behind a record that nobody wants. */
  void pass(TopicPartition partition, Place behind);

  /** Stores what is not stored yet. */
  void flush(Collection<TopicPartition> owned);
}
