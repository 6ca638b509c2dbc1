package dev.lockstep.lock;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;

/**
 * Runs a scheduled job in one process only, however many are due to run it. Thread-safe.
 *
 * <p>A run that finds the lock taken is left out. The lock is kept for {@code atLeast} even when
 * the job is done before, so that a process whose clock is late does not run it once more; and for
 * {@code atMost} at the longest, so that a job that hangs does not stop all later runs. A process
 * that dies is replaced after its client's time to live, and {@code atLeast} on top. A client that
 * is closed gives back at once what its jobs still hold: close it when they are done.
 *
 * @see LockClientOptions#withTtl
 */
public final class JobLock {

  /** Longest lock-delay, which stands for {@code atLeast} when the process is gone. */
  static final Duration LONGEST_DELAY = Duration.ofMinutes(1);

  private final DistributedLock lock;
  private final Duration atMost;
  private final Duration atLeast;

  private JobLock(DistributedLock lock, Duration atMost, Duration atLeast) {
    this.lock = lock;
    this.atMost = atMost;
    this.atLeast = atLeast;
  }

  /**
   * Names a job.
   *
   * @param client lock client
   * @param job name of the job: the key of the lock
   * @param atMost longest time for which a run keeps the lock
   * @param atLeast shortest time for which a run keeps the lock; up to a minute of it outlives the
   *     process
   * @return lock of the job
   */
  public static JobLock of(LockClient client, String job, Duration atMost, Duration atLeast) {
    if (atLeast.isNegative() || atMost.compareTo(atLeast) < 0 || atMost.isZero()) {
      throw new IllegalArgumentException(
          "Job '%s': at most %s must be above zero and not below at least %s"
              .formatted(job, atMost, atLeast));
    }
    Duration delay = atLeast.compareTo(LONGEST_DELAY) > 0 ? LONGEST_DELAY : atLeast;
    return new JobLock(client.lock(job).withLockDelay(delay), atMost, atLeast);
  }

  /**
   * Runs the job, unless another process runs it or has just run it.
   *
   * @param job what to do, on the calling thread
   * @param <T> what it returns
   * @return what it returned, or empty when the run was left out
   * @throws LockException when the service refuses or does not answer; the job was not run
   * @throws Exception from the job
   */
  public <T> Optional<T> run(Callable<T> job) throws Exception {
    Optional<JobRun> begun = begin();
    if (begun.isEmpty()) {
      return Optional.empty();
    }
    try {
      return Optional.ofNullable(job.call());
    } finally {
      begun.get().end();
    }
  }

  /** Takes the lock if it is free. */
  Optional<JobRun> begin() throws InterruptedException {
    return lock.tryAcquireDetached().map(lease -> new JobRun(lease, atMost, atLeast));
  }
}
