package dev.lockstep.lock.internal.client;

import java.util.concurrent.Executor;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the user's code runs: listeners, and whatever hangs on the futures that were given out.
 * Threads that read replies and watch deadlines never run it, so it may block.
 *
 * <p>One thread works off what comes, many answers at each wake-up. When it stands still, because a
 * callback blocks, more are added: see {@link #look}.
 */
final class Callbacks implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Callbacks.class);
  private static final long IDLE_SECONDS = 10;
  private static final int MOST_THREADS = 1_024;

  private final Executor threads;
  private final @Nullable ThreadPoolExecutor pool;
  private final ThreadLocal<Boolean> own = ThreadLocal.withInitial(() -> false);
  private long completedBefore; // one caller of look()

  /**
   * Makes some.
   *
   * @param drained called by the thread of a callback behind which no other waits
   */
  Callbacks(Runnable drained) {
    pool =
        new ThreadPoolExecutor(
            1,
            1,
            IDLE_SECONDS,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            task -> {
              Thread thread = new Thread(task, "lock-client-callback");
              thread.setDaemon(true);
              return thread;
            }) {
          @Override
          protected void beforeExecute(Thread thread, Runnable task) {
            own.set(true);
          }

          @Override
          protected void afterExecute(Runnable task, @Nullable Throwable error) {
            if (getQueue().isEmpty()) {
              drained.run();
            }
          }
        };
    pool.allowCoreThreadTimeOut(true);
    threads = pool;
  }

  Callbacks(Executor threads) {
    this.threads = threads;
    this.pool = null;
  }

  /** Tells a callback whether others wait behind it, which will send more. */
  boolean isFollowed() {
    return pool != null && own.get() && !pool.getQueue().isEmpty();
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

  /**
   * Adds threads when nothing was completed since the last look although something waits; called
   * every few milliseconds by one thread.
   */
  void look() {
    if (pool == null) {
      return;
    }
    long completed = pool.getCompletedTaskCount();
    boolean waiting = !pool.getQueue().isEmpty();
    if (waiting && completed == completedBefore) {
      int more = Math.min(MOST_THREADS, pool.getCorePoolSize() * 2);
      pool.setMaximumPoolSize(more);
      pool.setCorePoolSize(more);
    } else if (!waiting && pool.getActiveCount() == 0) {
      pool.setCorePoolSize(1);
      pool.setMaximumPoolSize(1);
    }
    completedBefore = completed;
  }

  /** Takes no more; what is running goes on. */
  @Override
  public void close() {
    if (pool != null) {
      pool.shutdown();
    }
  }
}
