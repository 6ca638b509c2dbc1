package dev.lockstep.kernel.internal.follow;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Follower;
import java.util.Collection;
import java.util.List;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Shows effects to a listener in the same process. */
final class ListenerSink implements Sink {

  private static final Logger LOG = LoggerFactory.getLogger(ListenerSink.class);
  private static final long PERIOD_MS = 500;

  private final Follower.Listener listener;

  ListenerSink(Follower.Listener listener) {
    this.listener = listener;
  }

  @Override
  public void take(TopicPartition source, List<Announcement> effects) {
    for (Announcement effect : effects) {
      try {
        listener.announced(source.partition(), effect);
      } catch (RuntimeException e) {
        LOG.error("A listener failed at an effect of {} and is told the next one", source, e);
      }
    }
  }

  @Override
  public boolean afterPoll(Collection<Followed> following) {
    return true;
  }

  @Override
  public long periodMillis() {
    return PERIOD_MS;
  }

  @Override
  public void close() {}
}
