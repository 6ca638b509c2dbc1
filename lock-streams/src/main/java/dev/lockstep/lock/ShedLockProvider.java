package dev.lockstep.lock;

import java.time.Duration;
import java.util.Optional;
import net.javacrumbs.shedlock.core.ExtensibleLockProvider;
import net.javacrumbs.shedlock.core.LockConfiguration;
import net.javacrumbs.shedlock.core.SimpleLock;

/**
 * Locks for ShedLock: {@code @SchedulerLock} methods run in one process only, decided by Lockstep.
 * Needs {@code net.javacrumbs.shedlock:shedlock-core}. Thread-safe.
 *
 * <p>A run whose process dies is replaced after the client's time to live, and up to a minute of
 * {@code lockAtLeastFor} on top; other providers keep such a lock for all of {@code lockAtMostFor}.
 *
 * @see JobLock
 */
public final class ShedLockProvider implements ExtensibleLockProvider {

  private final LockClient client;

  /**
   * Takes locks through a client; names of jobs are its keys.
   *
   * @param client lock client; stays open as long as jobs run
   */
  public ShedLockProvider(LockClient client) {
    this.client = client;
  }

  /**
   * Takes the lock of a job if it is free.
   *
   * @param configuration name of the job, longest and shortest time for which to keep its lock
   * @return the lock, or empty when another process has it
   * @throws LockException when the service refuses or does not answer, or when interrupted (the
   *     thread stays interrupted); the job must not run
   */
  @Override
  public Optional<SimpleLock> lock(LockConfiguration configuration) {
    Duration atMost = configuration.getLockAtMostFor();
    Duration atLeast = configuration.getLockAtLeastFor();
    try {
      return JobLock.of(client, configuration.getName(), atMost, atLeast).begin().map(Held::new);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new LockException(
          "Lock of job '%s' was not taken: interrupted".formatted(configuration.getName()), e);
    }
  }

  private record Held(JobRun run) implements SimpleLock {

    @Override
    public void unlock() {
      run.end();
    }

    @Override
    public Optional<SimpleLock> extend(Duration lockAtMostFor, Duration lockAtLeastFor) {
      return run.extend(lockAtMostFor, lockAtLeastFor) ? Optional.of(this) : Optional.empty();
    }
  }
}
