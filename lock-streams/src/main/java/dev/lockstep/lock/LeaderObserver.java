package dev.lockstep.lock;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.lock.internal.client.Chores;
import dev.lockstep.lock.internal.client.LockLayout;
import dev.lockstep.lock.internal.engine.LockReport;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.Partitions;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches who leads in a {@link LeaderElection}, without standing for it. It folds the lock log
 * itself and asks nobody. Thread-safe.
 *
 * <p>Guarantee: whoever leads for long enough is told, in order; leaders who follow each other
 * faster than the listener returns may be left out. It is news of the past: the leader may have
 * gone meanwhile, so nothing that must be right may rest on it.
 */
public final class LeaderObserver implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(LeaderObserver.class);
  private static final long LOOK_MS = 500;

  /**
   * One who leads.
   *
   * @param name as it joined the election
   * @param term its term
   */
  public record Leader(String name, LeaderElection.Term term) {}

  private final String election;
  private final byte[] key;
  private final String events;
  private final int partition;
  private final Consumer<Optional<Leader>> listener;
  private final Follower follower;
  private final ScheduledExecutorService looks = Chores.scheduler("lock-leader-observer");
  private boolean looked; // one thread looks
  private long lookedAt; // offset, one thread looks
  private volatile @Nullable Leader told;

  private LeaderObserver(
      LockstepConfig config, String election, Consumer<Optional<Leader>> listener) {
    this.election = election;
    this.key = election.getBytes(StandardCharsets.UTF_8);
    this.events = config.named(LockSchemas.EVENTS);
    this.partition = Partitions.of(election, LockLayout.read(config).getPartitions());
    this.listener = listener;
    this.follower = Follower.start(LockTopics.machine(config), config, this::announced);
  }

  /**
   * Starts to watch.
   *
   * @param config how to reach Kafka
   * @param election name of the election
   * @param listener told who leads now, and of every change; empty: nobody. On a thread of its own;
   *     what it throws is logged
   * @return observer
   * @throws LockException when the lock topic has no Layout yet: create the topics first
   */
  public static LeaderObserver watch(
      LockstepConfig config, String election, Consumer<Optional<Leader>> listener) {
    LeaderObserver observer = new LeaderObserver(config, election, listener);
    observer.follower.follow(observer.partition);
    // a partition that is seeded again shows no effects of what it missed
    Chores.repeat(observer.looks, LOOK_MS, observer::look);
    return observer;
  }

  /**
   * Returns who was told last.
   *
   * @return the leader; empty: nobody leads, or the log was not read yet
   */
  public Optional<Leader> leader() {
    return Optional.ofNullable(told);
  }

  @Override
  public void close() {
    looks.shutdownNow();
    follower.close();
  }

  private void announced(int from, Announcement effect) {
    if (effect.topic().equals(events) && Arrays.equals(effect.key(), key)) {
      try {
        looks.execute(this::look);
      } catch (RejectedExecutionException e) {
        // closed meanwhile
      }
    }
  }

  private void look() {
    try {
      long offset = requireNonNull(follower.progress().get(partition)).nextOffset();
      Leader last = told;
      if (offset < lookedAt) {
        // seeded again with a state of before; what was told stays true until it has caught up
        return;
      }
      Leader now =
          follower
              .read(partition, store -> new LockReport(store).lock(election))
              .flatMap(status -> status.holders().stream().findFirst())
              .map(LeaderObserver::leader)
              .orElse(null);
      if (now != null && last != null && now.term().token() < last.term().token()) {
        return;
      }
      lookedAt = offset;
      if (!looked || !Objects.equals(now, last)) {
        looked = true;
        told = now;
        listener.accept(Optional.ofNullable(now));
      }
    } catch (KernelException e) {
      LOG.debug("Election {} is not followed now", election, e);
    }
  }

  private static Leader leader(LockStatus.Holder holder) {
    String name = holder.onBehalfOf().isEmpty() ? holder.session() : holder.onBehalfOf();
    return new Leader(name, new LeaderElection.Term(holder.token()));
  }
}
