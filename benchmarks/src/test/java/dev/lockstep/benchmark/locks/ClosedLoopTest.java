package dev.lockstep.benchmark.locks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import org.junit.jupiter.api.Test;

/** What the loop verifies while it measures. */
class ClosedLoopTest {

  private static final Workload WORKLOAD = new Workload(8, 1);

  @Test
  void locksThatExcludeAreMeasured() throws Exception {
    Semaphore one = new Semaphore(1);
    ClosedLoop.Outcome outcome =
        run(
            blocking(
                () -> {
                  one.acquireUninterruptibly();
                  return () -> {
                    one.release();
                    return CompletableFuture.completedFuture(null);
                  };
                }));
    assertThat(outcome.grants()).isPositive();
    // the edges of the measured time are cut one after the other, and threads go on in between
    assertThat(outcome.latency().getTotalCount()).isCloseTo(outcome.grants(), withinPercentage(30));
    assertThat(outcome.overlaps()).isZero();
    assertThat(outcome.errors()).isZero();
  }

  @Test
  void locksThatExcludeNobodyAreFoundOut() throws Exception {
    ClosedLoop.Outcome outcome = run(blocking(() -> () -> CompletableFuture.completedFuture(null)));
    assertThat(outcome.overlaps()).isPositive();
  }

  @Test
  void failuresAreCounted() throws Exception {
    ClosedLoop.Outcome outcome =
        run(
            blocking(
                () -> {
                  throw new IllegalStateException("refused");
                }));
    assertThat(outcome.errors()).isEqualTo(WORKLOAD.clients());
    assertThat(outcome.firstError()).hasMessage("refused");
  }

  private static ClosedLoop.Outcome run(LockDriver driver) throws InterruptedException {
    return new ClosedLoop(WORKLOAD, driver, "key-").run(Duration.ZERO, Duration.ofMillis(200));
  }

  /** A lock in this JVM. */
  private interface Grants {
    LockDriver.Held next();
  }

  private static LockDriver blocking(Grants grants) {
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return false;
      }

      @Override
      public CompletableFuture<Held> acquire(int client, String key) {
        return CompletableFuture.completedFuture(grants.next());
      }

      @Override
      public void close() {}
    };
  }
}
