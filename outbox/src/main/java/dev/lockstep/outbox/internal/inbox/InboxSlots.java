package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.Inbox;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Days in turn. A repeat has its first one's time, so both meet in one slot; a slot of a day that
 * is over goes at once, by TRUNCATE, where the database has snapshots and dead rows to be vacuumed.
 */
public final class InboxSlots {

  private static final Logger LOG = LoggerFactory.getLogger(InboxSlots.class);

  /** Eight days that are remembered, one for clocks that are ahead, and a week to empty them in. */
  private static final int SLOTS = 16;

  private static final long DAY_MS = TimeUnit.DAYS.toMillis(1);
  private static final int DELETED_AT_ONCE = 10_000;

  private InboxSlots() {}

  /** Returns the slot of a message. */
  public static int of(Instant messageAt) {
    return Math.floorMod(Math.floorDiv(messageAt.toEpochMilli(), DAY_MS), SLOTS);
  }

  /** Empties what no message that is taken can fall into. */
  public static void forgetOld(DataSource dataSource, Instant now) throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      if (Dialect.of(connection).hasSnapshots()) {
        truncateOld(connection, now);
      } else {
        deleteOld(connection, now);
      }
    }
  }

  private static void truncateOld(Connection connection, Instant now) throws SQLException {
    Set<Integer> kept = new HashSet<>();
    for (int day = (int) -Inbox.HORIZON.toDays(); day <= 1; day++) {
      kept.add(of(now.plus(Duration.ofDays(day))));
    }
    for (int slot = 0; slot < SLOTS; slot++) {
      // the number is ours
      String table = "lockstep_inbox_" + slot;
      if (!kept.contains(slot) && hasRows(connection, table)) {
        truncate(connection, table);
      }
    }
  }

  private static boolean hasRows(Connection connection, String table) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT 1 FROM " + table + " LIMIT 1")) {
      return row.next();
    }
  }

  private static void truncate(Connection connection, String table) throws SQLException {
    connection.setAutoCommit(false);
    try (Statement statement = connection.createStatement()) {
      // consumers queue up behind a lock that waits
      statement.execute("SET LOCAL lock_timeout = '50ms'");
      statement.execute("TRUNCATE " + table);
      connection.commit();
    } catch (SQLException e) {
      connection.rollback();
      LOG.info("{} is not emptied now: {}", table, e.getMessage());
    } finally {
      connection.setAutoCommit(true);
    }
  }

  private static void deleteOld(Connection connection, Instant now) throws SQLException {
    try (PreparedStatement delete =
        connection.prepareStatement(
            "DELETE FROM lockstep_inbox WHERE message_at < ? LIMIT " + DELETED_AT_ONCE)) {
      int deleted;
      do {
        delete.setLong(1, now.minus(Inbox.HORIZON).toEpochMilli() - DAY_MS);
        deleted = delete.executeUpdate();
      } while (deleted == DELETED_AT_ONCE);
    }
  }
}
