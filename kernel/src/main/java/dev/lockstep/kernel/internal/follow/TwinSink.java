package dev.lockstep.kernel.internal.follow;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.internal.streams.ExpressLane;
import dev.lockstep.kernel.internal.streams.Ticker;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.kafka.common.TopicPartition;

/**
 * Announces what a follower computes, and ticks where nobody else does.
 *
 * <p>A lane that failed is replaced only together with fresh folds from committed state, below
 * which everything is acknowledged (rules 3 and 6): so each run of announcements begins at or
 * before the end of what has landed.
 */
final class TwinSink implements Sink {

  /** Rounds without a tick of somebody with a smaller name, after which a twin ticks itself. */
  private static final int SILENT_ROUNDS = 3;

  private final String name;
  private final Supplier<ExpressLane> lanes;
  private final Ticker ticker;
  private final long tickMillis;
  private final Map<TopicPartition, Long> tickedAt = new HashMap<>();
  private final Map<TopicPartition, Followed.Waiting> published = new HashMap<>();
  private ExpressLane lane;

  /**
   * Makes one.
   *
   * @param name sender of its ticks; sorts behind the names of owners, and of one of two twins
   */
  TwinSink(String name, Supplier<ExpressLane> lanes, Ticker ticker, long tickMillis) {
    this.name = name;
    this.lanes = lanes;
    this.ticker = ticker;
    this.tickMillis = tickMillis;
    this.lane = lanes.get();
    ticker.start();
  }

  @Override
  public void take(TopicPartition source, List<Announcement> effects) {
    effects.forEach(lane::send);
  }

  @Override
  public boolean afterPoll(Collection<Followed> following) {
    Set<TopicPartition> alive =
        following.stream().map(Followed::partition).collect(Collectors.toSet());
    for (TopicPartition gone : List.copyOf(published.keySet())) {
      if (!alive.contains(gone)) {
        // stopped or seeded anew: its deadlines are nobody's business now
        ticker.remove(gone);
        published.remove(gone);
      }
    }
    following.forEach(this::tick);
    if (!lane.failed()) {
      return true;
    }
    lane.close();
    lane = lanes.get();
    return false;
  }

  /* Elapsed time counts at most two ticks for a step, so twins that ticked in turns, each silenced
   * by the other, would let it run slow: the smaller name goes on, the others are silent. */
  private void tick(Followed followed) {
    long now = System.nanoTime();
    String by = followed.ticked();
    if (by != null && by.compareTo(name) < 0) {
      tickedAt.put(followed.partition(), now);
    }
    Followed.Waiting waiting = followed.waiting();
    long last = tickedAt.computeIfAbsent(followed.partition(), partition -> now);
    boolean silent = now - last > TimeUnit.MILLISECONDS.toNanos(SILENT_ROUNDS * tickMillis);
    if (waiting == null || !silent) {
      ticker.remove(followed.partition());
      published.remove(followed.partition());
    } else if (!waiting.equals(published.put(followed.partition(), waiting))) {
      // told once: the ticker counts from then on until a wall deadline is near
      ticker.publish(followed.partition(), waiting.now(), waiting.deadlines());
    }
  }

  @Override
  public long periodMillis() {
    return tickMillis;
  }

  @Override
  public void close() {
    ticker.close();
    lane.close();
  }
}
