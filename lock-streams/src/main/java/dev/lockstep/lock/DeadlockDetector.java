package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.Chores;
import dev.lockstep.lock.internal.engine.WaitGraph;
import dev.lockstep.lock.internal.engine.WaitGraph.Circle;
import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds calls that wait for each other in a circle, and ends one of them with {@link
 * LockDeadlockException}, which names the circle: the one of lowest priority, then the latest.
 * Thread-safe.
 *
 * <p>It folds the lock log itself ({@link LockInspector}) and looks every second. A circle is
 * broken when two looks in a row show it alike, so one that never was whole is left alone. Several
 * detectors do no harm. It sees tasks: threads that block in an acquire, what {@link
 * DistributedLock#inTask} named, parts of one set, sagas. A lease that one thread acquired and
 * another one gives back still counts for the first: name such a task.
 */
public final class DeadlockDetector implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(DeadlockDetector.class);

  /** Who orders that a wait ends, in the log. */
  private static final String PRINCIPAL = "lock-deadlock-detector";

  private final LockInspector inspector;
  private final LockAdmin admin;
  private final AtomicLong broken = new AtomicLong();
  private final ScheduledExecutorService looks = Chores.scheduler("lock-deadlock-detector");
  private @Nullable WaitGraph before; // one thread looks

  private DeadlockDetector(LockInspector inspector, LockAdmin admin) {
    this.inspector = inspector;
    this.admin = admin;
  }

  /**
   * Starts to look every second.
   *
   * @param config how to reach Kafka
   * @return detector
   * @throws dev.lockstep.kernel.StartRefusedException when there is no lock topic, or one of
   *     another release
   */
  public static DeadlockDetector start(LockstepConfig config) {
    return start(config, Duration.ofSeconds(1));
  }

  /**
   * Starts to look.
   *
   * @param config how to reach Kafka
   * @param every time between two looks, at least 1 ms
   * @return detector
   * @throws dev.lockstep.kernel.StartRefusedException when there is no lock topic, or one of
   *     another release
   */
  public static DeadlockDetector start(LockstepConfig config, Duration every) {
    if (every.toMillis() < 1) {
      throw new IllegalArgumentException("Time between looks must be at least 1 ms, is " + every);
    }
    DeadlockDetector detector =
        new DeadlockDetector(LockInspector.start(config), LockAdmin.connect(config));
    Chores.repeat(detector.looks, every.toMillis(), detector::look);
    return detector;
  }

  /**
   * Returns how many circles it has broken.
   *
   * @return count since it was started
   */
  public long broken() {
    return broken.get();
  }

  @Override
  public void close() {
    looks.shutdownNow();
    admin.close();
    inspector.close();
  }

  private void look() {
    WaitGraph earlier = before;
    before = null; // after a look that fails, two more are needed
    try {
      WaitGraph now = new WaitGraph(inspector.waiting());
      if (earlier != null) {
        now.confirmed(earlier).forEach(this::breakUp);
      }
      before = now;
    } catch (LockException e) {
      LOG.warn("Deadlocks cannot be looked for, tried again: {}", e.toString());
    }
  }

  private void breakUp(Circle circle) {
    LOG.warn("Deadlock, {} gives up: {}", circle.owner(), circle.text());
    admin.abort(circle.key(), circle.owner(), circle.number(), PRINCIPAL, circle.text());
    broken.incrementAndGet();
  }
}
