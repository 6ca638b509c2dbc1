package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.ClientCore;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;

/**
 * Acquires locks. One per process is enough; its session is kept alive as long as it is open.
 * Thread-safe.
 *
 * <p>Guarantee: never two holders of a key in log order; every acquire ends exactly once: granted,
 * timed out, denied, or with its session. First come, first served.
 */
public final class LockClient implements AutoCloseable {

  private final ClientCore core;

  private LockClient(ClientCore core) {
    this.core = core;
  }

  /**
   * Connects.
   *
   * @param options how to work
   * @return client
   * @throws LockException when the lock topic has no Layout yet: create the topics first
   */
  public static LockClient connect(LockClientOptions options) {
    return new LockClient(new ClientCore(options));
  }

  /**
   * Names a lock.
   *
   * @param key lock key, 1 to 256 characters
   * @return the lock; asks nobody
   */
  public DistributedLock lock(String key) {
    return new DistributedLock(List.of(key));
  }

  /**
   * Names a set of locks that are acquired together, all or nothing. No deadlock can arise among
   * requests for sets.
   *
   * @param keys lock keys
   * @return the locks; asks nobody
   */
  public DistributedLock locks(Collection<String> keys) {
    return new DistributedLock(List.copyOf(new TreeSet<>(keys)));
  }

  /**
   * Tells what is wrong.
   *
   * @return the fault that is being waited out, or empty when all is well
   */
  public Optional<String> fault() {
    return Optional.ofNullable(core.fault());
  }

  /** Gives up everything that it holds and waits for, at once. */
  @Override
  public void close() {
    core.close();
  }

  /** One lock, or a set of them. Immutable. */
  public final class DistributedLock {

    private final List<String> keys;

    private DistributedLock(List<String> keys) {
      this.keys = keys;
    }

    /**
     * Acquires, waiting in the queue.
     *
     * @param wait longest wait, elapsed log time
     * @return the lease
     * @throws LockTimeoutException when it was not granted in time
     * @throws LockDeniedException when the service refuses the request
     * @throws LockException when the service does not answer, or the session ended
     * @throws InterruptedException when interrupted; the place in the queue is given up
     */
    public Lease acquire(Duration wait) throws InterruptedException {
      return core.await(acquireAsync(wait), keys);
    }

    /**
     * Acquires if nobody holds or waits.
     *
     * @return the lease, or empty
     * @throws LockException when the service refuses or does not answer
     * @throws InterruptedException when interrupted
     */
    public Optional<Lease> tryAcquire() throws InterruptedException {
      try {
        return Optional.of(acquire(Duration.ZERO));
      } catch (LockTimeoutException e) {
        return Optional.empty();
      }
    }

    /**
     * Acquires without blocking the caller.
     *
     * @param wait longest wait, elapsed log time
     * @return completes with the lease or as {@link #acquire} throws, on a thread of its own where
     *     what hangs on it may block; cancelling it, or ending it by a time-out, gives up the place
     *     in the queue and what was granted so far
     */
    public CompletableFuture<Lease> acquireAsync(Duration wait) {
      return core.acquire(keys, wait);
    }
  }
}
