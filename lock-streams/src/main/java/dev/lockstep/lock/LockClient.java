package dev.lockstep.lock;

import dev.lockstep.lock.internal.client.ClientCore;
import dev.lockstep.lock.internal.client.Terms;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.TreeSet;

/**
 * Acquires locks. One per process is enough; its session is kept alive as long as it is open.
 * Thread-safe.
 *
 * <p>Guarantee: never two holders of a key in log order; every acquire ends exactly once: granted,
 * timed out, denied, or with its session. First come, first served.
 */
public final class LockClient implements AutoCloseable {

  /**
   * What became of acquires and leases since the client was connected.
   *
   * @param granted acquires that were granted
   * @param timedOut acquires that were not granted within their wait
   * @param denied acquires that were denied
   * @param failed acquires that ended otherwise: cancelled, client closed, no service
   * @param lost parts of leases that ended without being given back: expired, taken away
   * @param held parts of leases that are held now; one over several partitions has several
   * @param waiting acquires that wait now
   * @param waitedNanos time from calls to grants, all together
   */
  public record Stats(
      long granted,
      long timedOut,
      long denied,
      long failed,
      long lost,
      int held,
      int waiting,
      long waitedNanos) {}

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
    return new DistributedLock(core, List.of(key), Terms.EXCLUSIVE);
  }

  /**
   * Names a set of locks that are acquired together, all or nothing. No deadlock can arise among
   * requests for sets.
   *
   * @param keys lock keys
   * @return the locks; asks nobody
   */
  public DistributedLock locks(Collection<String> keys) {
    return new DistributedLock(core, List.copyOf(new TreeSet<>(keys)), Terms.EXCLUSIVE);
  }

  /**
   * Names one permit of a semaphore. Everybody who uses it at a time names the same capacity;
   * whoever names another is refused.
   *
   * @param key name of the semaphore, 1 to 256 characters
   * @param capacity permits that it has, 1 to 1,000,000,000
   * @return one permit; asks nobody
   */
  public DistributedLock semaphore(String key, int capacity) {
    return new DistributedLock(core, List.of(key), Terms.EXCLUSIVE.withPermits(1, capacity));
  }

  /**
   * Names a latch that processes count down.
   *
   * @param name name of the latch, 1 to 250 characters
   * @return the latch; asks nobody
   */
  public DistributedLatch latch(String name) {
    return new DistributedLatch(core, name, lock(DistributedLatch.key(name)).shared());
  }

  /**
   * Tells what is wrong.
   *
   * @return the fault that is being waited out, or empty when all is well
   */
  public Optional<String> fault() {
    return Optional.ofNullable(core.fault());
  }

  /**
   * Tells whether {@link #close} was called.
   *
   * @return true when it acquires nothing any more
   */
  public boolean isClosed() {
    return core.isClosed();
  }

  /**
   * Returns what became of acquires and leases; see {@link LockMetrics}.
   *
   * @return counts as of now
   */
  public Stats stats() {
    return core.stats();
  }

  /** Gives up everything that it holds and waits for, at once. */
  @Override
  public void close() {
    core.close();
  }
}
