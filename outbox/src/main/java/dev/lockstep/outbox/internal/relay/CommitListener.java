package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Notifications;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hears of commits in other processes, over a connection that it holds. What it misses is found by
 * polling.
 *
 * <p>Whether notifications arrive can only be tried: a pooler that lends connections for one
 * transaction takes the LISTEN and forgets it. So it sends one to itself, over another connection,
 * since through such a pooler one over its own may well come back. And again now and then: a
 * connection whose other end is gone looks like an idle one.
 */
final class CommitListener implements Runnable, AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(CommitListener.class);
  private static final int LISTEN_MS = 200;
  private static final long PROBE_NANOS = TimeUnit.SECONDS.toNanos(10);
  private static final long HEARD_NANOS = TimeUnit.SECONDS.toNanos(3);
  private static final long AWAY_MS = 1_000;
  private static final long DEAF_MS = 60_000;
  private static final long JOIN_MS = 1_000;

  private final DataSource dataSource;
  private final String name;
  private final Runnable wake;
  private final CountDownLatch closed = new CountDownLatch(1);
  private final Thread thread;
  private boolean said;
  private volatile @Nullable String fault = "it does not listen yet";

  /**
   * @param name of the outbox, for people
   * @param wake called when something was committed
   */
  CommitListener(DataSource dataSource, String name, Runnable wake) {
    this.dataSource = dataSource;
    this.name = name;
    this.wake = wake;
    this.thread = new Thread(this, "outbox-" + name + "-listen");
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Why commits in other processes are found by polling alone; null: they are heard of. */
  @Nullable String fault() {
    return fault;
  }

  @Override
  public void close() {
    closed.countDown();
    try {
      thread.join(JOIN_MS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Override
  public void run() {
    while (closed.getCount() > 0) {
      long pause;
      try {
        listen();
        return;
      } catch (OutboxException e) {
        pause = DEAF_MS;
        polls(String.valueOf(e.getMessage()), null);
      } catch (SQLException | RuntimeException | LinkageError e) {
        pause = AWAY_MS;
        polls("it cannot listen: " + e, e);
      }
      try {
        if (closed.await(pause, TimeUnit.MILLISECONDS)) {
          return;
        }
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  private void polls(String why, @Nullable Throwable thrown) {
    fault = why;
    if (!said) {
      said = true;
      LOG.warn("Relay of outbox '{}' polls for commits in other processes: {}", name, why, thrown);
    }
  }

  private void listen() throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      if (!connection.isWrapperFor(PGConnection.class)) {
        throw new OutboxException(
            "connections of the data source are no PGConnection and cannot be unwrapped to one");
      }
      PGConnection notified = connection.unwrap(PGConnection.class);
      int before = connection.getNetworkTimeout();
      connection.setNetworkTimeout(Runnable::run, Notifications.TIMEOUT_MS);
      try (Statement statement = connection.createStatement()) {
        statement.execute(Notifications.LISTEN);
        hear(notified);
      } finally {
        giveBack(connection, before);
      }
    }
  }

  /** A pool may lend it to others. */
  private static void giveBack(Connection connection, int networkTimeout) {
    try (Statement statement = connection.createStatement()) {
      statement.execute(Notifications.UNLISTEN);
      connection.setNetworkTimeout(Runnable::run, networkTimeout);
    } catch (SQLException e) {
      LOG.debug("A connection that listened is broken", e);
    }
  }

  private void hear(PGConnection notified) throws SQLException {
    String probe = probe();
    long probedAt = System.nanoTime();
    boolean isAwaited = true;
    while (closed.getCount() > 0) {
      for (PGNotification one : notified.getNotifications(LISTEN_MS)) {
        if (one.getParameter().isEmpty()) {
          wake.run();
        } else if (one.getParameter().equals(probe)) {
          isAwaited = false;
          heard();
        }
      }
      long since = System.nanoTime() - probedAt;
      if (isAwaited && since > HEARD_NANOS) {
        throw notHeard();
      }
      if (!isAwaited && since > PROBE_NANOS) {
        probe = probe();
        probedAt = System.nanoTime();
        isAwaited = true;
      }
    }
  }

  /** Others that listen pass it over. */
  private String probe() throws SQLException {
    String probe = "probe " + UUID.randomUUID();
    boolean unused = Notifications.send(dataSource, probe);
    return probe;
  }

  private void heard() {
    if (fault != null) {
      // what was committed while nobody listened
      wake.run();
      fault = null;
      said = false;
      LOG.info("Relay of outbox '{}' hears of commits in other processes", name);
    }
  }

  private SQLException notHeard() {
    if (fault == null) {
      return new SQLException("the connection that listened does not hear any more", "08006");
    }
    throw new OutboxException(
        "a notification to itself did not arrive within %d s: does a pooler stand between that lends connections for one transaction? Give the relay a data source that goes past it"
            .formatted(TimeUnit.NANOSECONDS.toSeconds(HEARD_NANOS)));
  }
}
