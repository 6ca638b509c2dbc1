package dev.lockstep.outbox.internal.sql;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;

/**
 * How commits are told to other processes, on PostgreSQL. A channel belongs to a database: outboxes
 * in two schemas of one wake each other's relays in vain.
 */
public final class Notifications {

  public static final String LISTEN = "LISTEN lockstep_outbox";
  public static final String UNLISTEN = "UNLISTEN lockstep_outbox";

  /** Longest wait for an answer: a server that stands still must not keep a connection. */
  public static final int TIMEOUT_MS = (int) TimeUnit.SECONDS.toMillis(5);

  /**
   * A transaction of its own: one that notifies takes a lock on the whole database at its commit.
   * And one that need not reach the disk while it holds it.
   */
  private static final String NOTIFY =
      "SELECT set_config('synchronous_commit', 'off', true), pg_notify('lockstep_outbox', ?)";

  private Notifications() {}

  /**
   * Sends one, over a connection that it gives back.
   *
   * @param payload empty: something was committed
   * @return false when the database knows no notifications
   * @throws SQLException from the database
   */
  public static boolean send(DataSource dataSource, String payload) throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      if (!Dialect.of(connection).hasSnapshots()) {
        return false;
      }
      int before = connection.getNetworkTimeout();
      connection.setNetworkTimeout(Runnable::run, TIMEOUT_MS);
      try (PreparedStatement notify = connection.prepareStatement(NOTIFY)) {
        notify.setString(1, payload);
        notify.execute();
      }
      // after a failure the connection is broken, or soon will be
      connection.setNetworkTimeout(Runnable::run, before);
      return true;
    }
  }
}
