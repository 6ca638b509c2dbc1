package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.internal.sql.Notifications;
import java.sql.SQLException;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Tells of commits on a thread of its own: many of them at once, and at the latest by polling. */
public final class Notifier implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Notifier.class);
  private static final long APART_MS = 5;
  private static final long AWAY_MS = 1_000;
  private static final long JOIN_MS = 1_000;

  private final DataSource dataSource;
  private final Semaphore pending = new Semaphore(0);
  private final AtomicLong sent = new AtomicLong();
  private final AtomicLong failures = new AtomicLong();
  private final Thread thread;
  private volatile boolean stopping;

  public Notifier(DataSource dataSource) {
    this.dataSource = dataSource;
    this.thread = new Thread(this::run, "outbox-notify");
    thread.setDaemon(true);
  }

  public void start() {
    thread.start();
  }

  /** Something was committed. Waits for nothing: called by writers. */
  public void committed() {
    if (pending.availablePermits() == 0) {
      pending.release();
    }
  }

  public long sent() {
    return sent.get();
  }

  public long failures() {
    return failures.get();
  }

  @Override
  public void close() {
    stopping = true;
    thread.interrupt();
    try {
      thread.join(JOIN_MS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void run() {
    boolean said = false;
    while (!stopping) {
      try {
        pending.acquire();
        // what was committed until here is told by the one below
        pending.drainPermits();
        if (!Notifications.send(dataSource, "")) {
          return;
        }
        sent.incrementAndGet();
        said = false;
        TimeUnit.MILLISECONDS.sleep(APART_MS);
      } catch (InterruptedException e) {
        return;
      } catch (SQLException | RuntimeException e) {
        failures.incrementAndGet();
        if (!said) {
          LOG.debug("Relays are not told of commits now, they find them by polling", e);
          said = true;
        }
        if (!pause()) {
          return;
        }
        committed();
      }
    }
  }

  private static boolean pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(AWAY_MS);
      return true;
    } catch (InterruptedException e) {
      return false;
    }
  }
}
