package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.OutboxException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import javax.sql.DataSource;

/** The registered topics, kept in memory: a writer asks the database only for one that is new. */
public final class TopicTable {

  /** One row of {@code lockstep_outbox_topic}; partitions 0: as many as the topic has. */
  public record Topic(String name, Lane lane, int partitions, int maxBytes) {}

  private final DataSource dataSource;
  private volatile Map<String, Topic> known = Map.of();

  public TopicTable(DataSource dataSource) {
    this.dataSource = dataSource;
  }

  public void register(String topic, Lane lane, int partitions) {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO lockstep_outbox_topic (topic, lane, partitions) VALUES (?, ?, nullif(?, 0))"
                    + " ON CONFLICT (topic) DO NOTHING")) {
      insert.setString(1, topic);
      insert.setInt(2, lane.code());
      insert.setInt(3, partitions);
      insert.executeUpdate();
      known = readAll(connection);
    } catch (SQLException e) {
      throw new OutboxException("Topic '" + topic + "' could not be registered", e);
    }
    Topic registered = known.get(topic);
    if (registered == null || registered.lane() != lane || registered.partitions() != partitions) {
      throw new OutboxException(
          "Topic '%s' is registered as %s and cannot become lane %s with %d partitions"
              .formatted(topic, registered, lane, partitions));
    }
  }

  /**
   * Returns a registered topic; reads the table again for one that is not yet known.
   *
   * @param connection one that the caller has: asking the pool for another could wait for ever
   */
  public Topic get(String topic, Connection connection) {
    Topic found = known.get(topic);
    if (found == null) {
      try {
        known = readAll(connection);
      } catch (SQLException e) {
        throw new OutboxException("Registered topics could not be read", e);
      }
      found = known.get(topic);
    }
    if (found == null) {
      throw new OutboxException(
          "Topic '%s' is not registered with this outbox; call register(topic, lane, partitions) at start"
              .formatted(topic));
    }
    return found;
  }

  /** Returns the names of all registered topics. */
  Set<String> registered() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      known = readAll(connection);
      return new TreeSet<>(known.keySet());
    }
  }

  private static Map<String, Topic> readAll(Connection connection) throws SQLException {
    Map<String, Topic> all = new HashMap<>();
    try (PreparedStatement select =
            connection.prepareStatement(
                "SELECT topic, lane, coalesce(partitions, 0), max_bytes FROM lockstep_outbox_topic");
        ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        all.put(
            rows.getString(1),
            new Topic(rows.getString(1), Lane.of(rows.getInt(2)), rows.getInt(3), rows.getInt(4)));
      }
    }
    return Map.copyOf(all);
  }
}
