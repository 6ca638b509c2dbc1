package dev.lockstep.benchmark.locks;

import java.util.concurrent.CompletableFuture;

/**
 * Clients of one lock service. A driver acquires either way, blocking or not; the loop asks for the
 * one that {@link #isAsync} names.
 */
public interface LockDriver extends AutoCloseable {

  /** A lock that is held. */
  interface Held {

    /**
     * Gives it back.
     *
     * @return done when the service has confirmed it
     * @throws Exception when it could not
     */
    CompletableFuture<?> release() throws Exception;
  }

  /**
   * Tells how it waits.
   *
   * @return true: futures, any number of clients on few threads; false: a thread per client
   */
  boolean isAsync();

  /**
   * Acquires a lock exclusively, waiting as long as it takes.
   *
   * @param client number of the client
   * @param key what to lock
   * @return the lock; for a blocking driver the future is done when this returns
   * @throws Exception when it could not
   */
  CompletableFuture<Held> acquire(int client, String key) throws Exception;

  @Override
  void close();
}
