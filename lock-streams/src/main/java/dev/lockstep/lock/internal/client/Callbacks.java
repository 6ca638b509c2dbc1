package dev.lockstep.lock.internal.client;

import java.util.concurrent.Executor;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.RejectedExecutionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the user's code runs: listeners, and whatever hangs on the futures that were given out.
 * Threads that read replies and watch deadlines never run it, so it may block.
 */
final class Callbacks implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Callbacks.class);

  private final Executor threads;

  Callbacks() {
    this(
        Executors.newCachedThreadPool(
            task -> {
              Thread thread = new Thread(task, "lock-client-callback");
              thread.setDaemon(true);
              return thread;
            }));
  }

  Callbacks(Executor threads) {
    this.threads = threads;
  }

  void run(Runnable task) {
    Runnable guarded =
        () -> {
          try {
            task.run();
          } catch (Throwable e) {
            LOG.error("A callback of the lock client's user failed", e);
          }
        };
    try {
      threads.execute(guarded);
    } catch (RejectedExecutionException e) {
      // closed meanwhile: nobody is held up any more
      guarded.run();
    }
  }

  /** Takes no more; what is running goes on. */
  @Override
  public void close() {
    if (threads instanceof ExecutorService pool) {
      pool.shutdown();
    }
  }
}
