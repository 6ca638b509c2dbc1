package dev.lockstep.lock;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One run of a job, from the grant of its lock to its end. Thread-safe. */
final class JobRun {

  private static final Logger LOG = LoggerFactory.getLogger(JobRun.class);

  private final Lease lease;
  private long begun;
  private Duration atLeast;

  /** True: ended by the job; false: by the clock. */
  private CompletableFuture<Boolean> end;

  JobRun(Lease lease, Duration atMost, Duration atLeast) {
    this.lease = lease;
    this.begun = System.nanoTime();
    this.atLeast = atLeast;
    this.end = within(lease, atMost);
  }

  private static CompletableFuture<Boolean> within(Lease lease, Duration atMost) {
    CompletableFuture<Boolean> end = new CompletableFuture<>();
    var unused =
        // a send may block: not on the JVM's one thread for time-outs
        end.thenAcceptAsync(
            byJob -> {
              if (!byJob) {
                LOG.warn(
                    "Job {} runs longer than {}: its lock is given back, the next run may begin beside it",
                    lease.tokens().keySet(),
                    atMost);
                lease.close();
              }
            });
    return end.completeOnTimeout(false, atMost.toMillis(), TimeUnit.MILLISECONDS);
  }

  /** The job is done: gives the lock back when it was kept for long enough. */
  synchronized void end() {
    if (!end.complete(true)) {
      return;
    }
    Duration left = atLeast.minusNanos(System.nanoTime() - begun);
    Duration late = left.minus(JobLock.LONGEST_DELAY);
    if (late.isNegative()) {
      // the service keeps it free, whatever becomes of this process
      release(left.isNegative() ? Duration.ZERO : left);
    } else {
      CompletableFuture.delayedExecutor(late.toMillis(), TimeUnit.MILLISECONDS)
          .execute(() -> release(JobLock.LONGEST_DELAY));
    }
  }

  private void release(Duration keepFree) {
    var unused = lease.release(keepFree);
  }

  /** Counts both times from now, and from the beginning of this call on. False: it is over. */
  synchronized boolean extend(Duration atMost, Duration newAtLeast) {
    if (lease.state() != Lease.State.SAFE || !end.complete(true)) {
      return false;
    }
    begun = System.nanoTime();
    atLeast = newAtLeast;
    end = within(lease, atMost);
    return true;
  }
}
