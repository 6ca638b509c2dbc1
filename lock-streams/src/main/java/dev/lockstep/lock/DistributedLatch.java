package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.ClientCore;
import dev.lockstep.schema.lock.CountDown;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.SetLatch;
import java.time.Duration;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * A count that many processes wait for, as {@link java.util.concurrent.CountDownLatch} within one.
 * Thread-safe.
 *
 * <p>The count stands in the lock log. It outlives every process: a party that dies without
 * counting leaves the latch closed until somebody counts for it, or {@link LockAdmin#forceRelease}
 * opens it. A latch that nobody has closed is open, and one that was opened can be closed again.
 */
public final class DistributedLatch {

  private static final String PREFIX = "latch:";
  private static final int NAME_LIMIT = 250;
  private static final int PAUSE_MS = 20;
  private static final int ATTEMPTS = 1_500;

  private final ClientCore core;
  private final String key;
  private final DistributedLock passage;

  DistributedLatch(ClientCore core, String name, DistributedLock passage) {
    if (name.isEmpty() || name.length() > NAME_LIMIT) {
      throw new IllegalArgumentException(
          "The name of a latch has 1 to %d characters, this one %d"
              .formatted(NAME_LIMIT, name.length()));
    }
    this.core = core;
    this.key = key(name);
    this.passage = passage;
  }

  /** Latches and locks of one name have nothing to do with each other. */
  static String key(String name) {
    return PREFIX + name;
  }

  /**
   * Closes the latch.
   *
   * @param count what must be counted down, 1 to 10,000
   * @param by who closes it, as people name it; up to 256 characters
   * @return completes with false when it is closed already; fails with {@link LockException} when
   *     the client is closed before the answer, or the service refuses for half a minute: its
   *     reason says why
   */
  public CompletableFuture<Boolean> close(int count, String by) {
    if (count < 1 || count > 10_000 || by.length() > 256) {
      throw new IllegalArgumentException(
          "Latch '%s': count must be 1 to 10,000 and 'by' have up to 256 characters, are %d and %d"
              .formatted(key, count, by.length()));
    }
    return close(count, by, ATTEMPTS);
  }

  /**
   * Who passes an open latch holds it for a moment, and gives it back without waiting for an
   * answer: that is no latch that is closed already.
   */
  private CompletableFuture<Boolean> close(int count, String by, int attempts) {
    String id = UUID.randomUUID().toString();
    return core.latch(key, id, replyTo -> new SetLatch(key, (long) count, id, by, replyTo))
        .thenCompose(
            reply -> {
              if (reply.getAccepted() || reply.getCount() > 0) {
                return CompletableFuture.completedFuture(reply.getAccepted());
              }
              if (attempts == 1) {
                return CompletableFuture.failedFuture(
                    new LockException(
                        "Latch '%s' could not be closed for '%s': %s"
                            .formatted(key, by, reply.getReason())));
              }
              return CompletableFuture.supplyAsync(
                      () -> close(count, by, attempts - 1),
                      CompletableFuture.delayedExecutor(PAUSE_MS, TimeUnit.MILLISECONDS))
                  .thenCompose(next -> next);
            });
  }

  /**
   * Counts down by one; the last one opens the latch. Counted once, also when it had to be sent
   * again: up to two minutes after the opening such repeats are known.
   *
   * @return completes with what is left, 0: the latch is open; fails as {@link #close}
   */
  public CompletableFuture<Long> countDown() {
    String id = UUID.randomUUID().toString();
    return core.latch(key, id, replyTo -> new CountDown(key, id, false, replyTo))
        .thenApply(LatchReply::getCount);
  }

  /**
   * Returns what is left.
   *
   * @return completes with the count, 0: the latch is open; fails as {@link #close}
   */
  public CompletableFuture<Long> count() {
    String id = UUID.randomUUID().toString();
    return core.latch(key, id, replyTo -> new CountDown(key, id, true, replyTo))
        .thenApply(LatchReply::getCount);
  }

  /**
   * Waits until the latch is open.
   *
   * @param wait how long at most, elapsed log time
   * @throws LockTimeoutException when it is still closed then; tells who closed it
   * @throws LockException when the service refuses or the client is closed
   * @throws InterruptedException when the thread was interrupted
   */
  public void await(Duration wait) throws InterruptedException {
    passage.acquire(wait).close();
  }

  /**
   * Waits until the latch is open, without a thread.
   *
   * @param wait how long at most, elapsed log time
   * @return completes when it is open; fails as {@link #await}
   */
  public CompletableFuture<Void> awaitAsync(Duration wait) {
    return passage.acquireAsync(wait).thenAccept(Lease::close);
  }
}
