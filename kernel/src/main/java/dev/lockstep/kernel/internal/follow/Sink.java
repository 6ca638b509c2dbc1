package dev.lockstep.kernel.internal.follow;

import dev.lockstep.kernel.Announcement;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.common.TopicPartition;

/** What is done with the effects that a follower computes; called by its thread alone. */
interface Sink extends AutoCloseable {

  /** Takes the effects of one record, in the order of the log. */
  void take(TopicPartition source, List<Announcement> effects);

  /**
   * Called after each poll, at least once in {@link #periodMillis()}.
   *
   * @return false when every fold must begin again from committed state
   */
  boolean afterPoll(Collection<Followed> following);

  long periodMillis();

  @Override
  void close();
}
