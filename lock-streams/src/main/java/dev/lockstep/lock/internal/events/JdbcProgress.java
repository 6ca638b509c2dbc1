package dev.lockstep.lock.internal.events;

import dev.lockstep.lock.LockEvent;
import dev.lockstep.lock.LockEvents.TransactionalHandler;
import dev.lockstep.schema.PositionMark;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import javax.sql.DataSource;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps the place in the handler's own transaction: exactly once. The row of a partition only moves
 * forward, so a consumer that lost the partition without knowing changes nothing.
 *
 * <p>Crash point: handler and place are one transaction; before its commit neither has happened.
 */
public final class JdbcProgress implements Progress {

  /** Makes the table; the same on every supported database. */
  public static final String TABLE =
      "CREATE TABLE IF NOT EXISTS lockstep_lock_position (consumer varchar(200) NOT NULL,"
          + " part int NOT NULL, next_offset bigint NOT NULL, mark varchar(100),"
          + " PRIMARY KEY (consumer, part))";

  private static final Logger LOG = LoggerFactory.getLogger(JdbcProgress.class);

  private final DataSource dataSource;
  private final String name;
  private final TransactionalHandler handler;

  /** Keeps the places of a consumer of this name. */
  public JdbcProgress(DataSource dataSource, String name, TransactionalHandler handler) {
    this.dataSource = dataSource;
    this.name = name;
    this.handler = handler;
  }

  @Override
  public @Nullable Place load(TopicPartition partition) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT next_offset, mark FROM lockstep_lock_position"
                    + " WHERE consumer = ? AND part = ?")) {
      select.setString(1, name);
      select.setInt(2, partition.partition());
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          return null;
        }
        String mark = row.getString(2);
        return new Place(row.getLong(1), mark == null ? null : PositionMark.parse(mark));
      }
    }
  }

  @Override
  public void begin(TopicPartition partition, Place place) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO lockstep_lock_position (consumer, part, next_offset)"
                    + " VALUES (?, ?, ?)")) {
      insert.setString(1, name);
      insert.setInt(2, partition.partition());
      insert.setLong(3, place.next());
      insert.executeUpdate();
      if (!connection.getAutoCommit()) {
        connection.commit();
      }
    }
  }

  @Override
  public void handle(TopicPartition partition, LockEvent event, Place behind) throws Exception {
    try (Connection connection = dataSource.getConnection()) {
      boolean before = connection.getAutoCommit();
      connection.setAutoCommit(false);
      try {
        if (move(connection, partition, behind)) {
          handler.handle(connection, event);
          connection.commit();
        } else {
          connection.rollback();
          LOG.info("{} has moved on behind {} elsewhere", partition, event.id());
        }
      } catch (Throwable e) {
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(before);
      }
    }
  }

  /** First, so that it also keeps a second consumer of this partition waiting. */
  private boolean move(Connection connection, TopicPartition partition, Place behind)
      throws SQLException {
    PositionMark mark = behind.mark();
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_lock_position SET next_offset = ?, mark = ?"
                + " WHERE consumer = ? AND part = ? AND next_offset < ?")) {
      update.setLong(1, behind.next());
      update.setString(2, mark == null ? null : mark.format());
      update.setString(3, name);
      update.setInt(4, partition.partition());
      update.setLong(5, behind.next());
      return update.executeUpdate() == 1;
    }
  }

  @Override
  public void pass(TopicPartition partition, Place behind) {
    // what nobody wants costs no transaction; after a restart it is passed again
  }

  @Override
  public void flush(Collection<TopicPartition> owned) {
    // each event is stored with what was done for it
  }
}
