package dev.lockstep.lock.internal.client;

import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Schedulers of one daemon thread, and tasks on them that go on whatever happens. */
public final class Chores {

  private static final Logger LOG = LoggerFactory.getLogger(Chores.class);

  private Chores() {}

  /** Makes a scheduler whose only thread has this name. */
  public static ScheduledExecutorService scheduler(String name) {
    ScheduledThreadPoolExecutor scheduler =
        new ScheduledThreadPoolExecutor(
            1,
            task -> {
              Thread thread = new Thread(task, name);
              thread.setDaemon(true);
              return thread;
            });
    // each acquire leaves a task for the case that nobody answers
    scheduler.setRemoveOnCancelPolicy(true);
    return scheduler;
  }

  /** Repeats a task; a scheduler alone would drop one that throws. */
  public static void repeat(ScheduledExecutorService scheduler, long millis, Runnable task) {
    var unused =
        scheduler.scheduleWithFixedDelay(
            () -> {
              try {
                task.run();
              } catch (Throwable e) {
                LOG.error("A chore failed and goes on", e);
              }
            },
            millis,
            millis,
            TimeUnit.MILLISECONDS);
  }
}
