package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.LockClient;
import dev.lockstep.lock.LockDeniedException;
import dev.lockstep.lock.LockTimeoutException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.atomic.LongAdder;
import org.jspecify.annotations.Nullable;

/** Counts what became of acquires and leases. Thread-safe. */
final class Tally {

  private final LongAdder granted = new LongAdder();
  private final LongAdder timedOut = new LongAdder();
  private final LongAdder denied = new LongAdder();
  private final LongAdder failed = new LongAdder();
  private final LongAdder lost = new LongAdder();
  private final LongAdder waitedNanos = new LongAdder();

  void ended(long begun, @Nullable Throwable error) {
    Throwable cause =
        error instanceof CompletionException && error.getCause() != null ? error.getCause() : error;
    if (cause == null) {
      granted.increment();
      waitedNanos.add(System.nanoTime() - begun);
    } else if (cause instanceof LockTimeoutException) {
      timedOut.increment();
    } else if (cause instanceof LockDeniedException) {
      denied.increment();
    } else {
      failed.increment();
    }
  }

  void lost(int leases) {
    lost.add(leases);
  }

  LockClient.Stats read(int held, int waiting) {
    return new LockClient.Stats(
        granted.sum(),
        timedOut.sum(),
        denied.sum(),
        failed.sum(),
        lost.sum(),
        held,
        waiting,
        waitedNanos.sum());
  }
}
