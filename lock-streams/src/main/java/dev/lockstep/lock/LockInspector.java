package dev.lockstep.lock;

import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.lock.internal.engine.LockReport;
import dev.lockstep.lock.internal.engine.Waiting;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.Partitions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * Looks at locks: holders, queues, sessions. It folds the lock log itself, beside the lock service,
 * and asks it nothing.
 *
 * <p>Guarantee: an answer contains every change that was acknowledged before the question. It keeps
 * all locks in memory, and needs the right to read the lock commands and the service's changelog.
 * Thread-safe.
 */
public final class LockInspector implements AutoCloseable {

  /**
   * How much there is, over all partitions.
   *
   * @param keys keys in use
   * @param queued places in their queues; a request for several keys may have several
   * @param longestQueue most places in one of them
   * @param sessions living sessions, one per client and partition, and sagas
   */
  public record Totals(long keys, long queued, long longestQueue, long sessions) {

    Totals plus(Totals other) {
      return new Totals(
          keys + other.keys,
          queued + other.queued,
          Math.max(longestQueue, other.longestQueue),
          sessions + other.sessions);
    }
  }

  private static final long TOTALS_NANOS = Duration.ofSeconds(1).toNanos();
  private static final Duration PATIENCE = Duration.ofSeconds(10);

  private final Follower follower;
  private final int partitions;
  private @Nullable Totals totals; // guarded by this
  private long totalsReadAt; // guarded by this

  private LockInspector(Follower follower) {
    this.follower = follower;
    this.partitions = follower.progress().size();
  }

  /**
   * Starts to follow the lock log.
   *
   * @param config how to reach Kafka
   * @return inspector
   * @throws dev.lockstep.kernel.StartRefusedException when there is no lock topic, or one of
   *     another release
   */
  public static LockInspector start(LockstepConfig config) {
    Follower follower =
        Follower.start(LockTopics.machine(config), config, (partition, effect) -> {});
    follower.followAll();
    return new LockInspector(follower);
  }

  /**
   * Looks at a key.
   *
   * @param key lock key
   * @return its holders and queue; empty when nobody holds it or waits for it
   * @throws LockException when the lock log could not be folded within 10 s
   */
  public Optional<LockStatus> lock(String key) {
    awaitCurrent();
    return read(Partitions.of(key, partitions), report -> report.lock(key));
  }

  /**
   * Looks at keys in use.
   *
   * @param prefix what they begin with; empty: all
   * @param most most to return, at least 1
   * @return in the order of their names
   * @throws LockException when the lock log could not be folded within 10 s
   */
  public List<LockStatus> locks(String prefix, int most) {
    awaitCurrent();
    List<LockStatus> all = new ArrayList<>();
    for (int i = 0; i < partitions; i++) {
      all.addAll(read(i, report -> report.locks(prefix, most)));
    }
    return all.stream().sorted(Comparator.comparing(LockStatus::key)).limit(most).toList();
  }

  /**
   * Looks at living sessions, and sagas that hold or held locks.
   *
   * @param prefix what they begin with; empty: all
   * @param most most to return, at least 1
   * @return their names in order; a client has a session of its own on each partition
   * @throws LockException when the lock log could not be folded within 10 s
   */
  public List<String> sessions(String prefix, int most) {
    awaitCurrent();
    List<String> all = new ArrayList<>();
    for (int i = 0; i < partitions; i++) {
      all.addAll(read(i, report -> report.sessions(prefix, most)));
    }
    return all.stream().distinct().sorted().limit(most).toList();
  }

  /**
   * Finds locks whose holder is none that should exist: of a saga that is gone, say. Nobody frees
   * the lock of a saga but the saga itself, or {@link LockAdmin#forceRelease}.
   *
   * @param exists told a session or saga, says whether it exists
   * @param most most to return, at least 1
   * @return keys in use of which at least one holder does not exist
   * @throws LockException when the lock log could not be folded within 10 s
   */
  public List<LockStatus> orphaned(Predicate<String> exists, int most) {
    return locks("", Integer.MAX_VALUE).stream()
        .filter(lock -> lock.holders().stream().anyMatch(each -> !exists.test(each.session())))
        .limit(most)
        .toList();
  }

  /**
   * Counts locks and sessions; goes through all of them, at most once a second.
   *
   * @return counts that are at most a second old
   * @throws LockException when a partition is not followed at present
   */
  public synchronized Totals totals() {
    Totals last = totals;
    if (last != null && System.nanoTime() - totalsReadAt <= TOTALS_NANOS) {
      return last;
    }
    Totals sum = new Totals(0, 0, 0, 0);
    for (int i = 0; i < partitions; i++) {
      sum = sum.plus(read(i, LockReport::totals));
    }
    totals = sum;
    totalsReadAt = System.nanoTime();
    return sum;
  }

  /** Returns the keys that somebody waits for; partitions are read one after the other. */
  List<Waiting> waiting() {
    awaitCurrent();
    List<Waiting> all = new ArrayList<>();
    for (int i = 0; i < partitions; i++) {
      all.addAll(read(i, LockReport::waiting));
    }
    return all;
  }

  /** Ends it. */
  @Override
  public void close() {
    follower.close();
  }

  private void awaitCurrent() {
    try {
      if (!follower.awaitCurrent(PATIENCE)) {
        throw new LockException(
            "Locks cannot be looked at: the lock log was not folded to its end within %s: %s"
                .formatted(PATIENCE, follower.progress()));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LockException("Interrupted while looking at locks", e);
    }
  }

  private <T> T read(int partition, Function<LockReport, T> reader) {
    try {
      return follower.read(partition, store -> reader.apply(new LockReport(store)));
    } catch (KernelException e) {
      throw new LockException("Locks of partition " + partition + " cannot be looked at", e);
    }
  }
}
