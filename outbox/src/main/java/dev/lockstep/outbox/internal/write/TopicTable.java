package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.PoisonPolicy;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Types;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/** The registered topics, kept in memory: a writer asks the database only for one that is new. */
public final class TopicTable {

  /** One row of {@code lockstep_outbox_topic}; partitions 0: as many as the topic has. */
  public record Topic(
      String name, Lane lane, int partitions, int maxBytes, PoisonPolicy onPoison) {}

  private static final long OLD_NANOS = TimeUnit.MINUTES.toNanos(1);

  private final DataSource dataSource;
  private volatile Map<String, Topic> known = Map.of();
  private volatile long readAt = System.nanoTime();

  public TopicTable(DataSource dataSource) {
    this.dataSource = dataSource;
  }

  /**
   * Makes a topic known.
   *
   * @param onPoison null: as it was, else {@link PoisonPolicy#BLOCK_KEY}
   */
  public void register(String topic, Lane lane, int partitions, @Nullable PoisonPolicy onPoison) {
    try (Connection connection = Connections.committing(dataSource)) {
      boolean unused =
          Dialect.of(connection)
              .insertOnce(
                  connection,
                  "INSERT INTO lockstep_outbox_topic (topic, lane, partitions, on_poison)"
                      + " VALUES (?, ?, ?, ?)",
                  insert -> {
                    insert.setString(1, topic);
                    insert.setInt(2, lane.code());
                    insert.setObject(3, partitions == 0 ? null : partitions, Types.INTEGER);
                    insert.setInt(4, (onPoison == null ? PoisonPolicy.BLOCK_KEY : onPoison).code());
                  });
      if (onPoison != null) {
        try (PreparedStatement update =
            connection.prepareStatement(
                "UPDATE lockstep_outbox_topic SET on_poison = ? WHERE topic = ?")) {
          update.setInt(1, onPoison.code());
          update.setString(2, topic);
          update.executeUpdate();
        }
      }
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
   * Returns a registered topic, or null; reads the table again for one that is not yet known: it
   * may have been registered after the last look.
   *
   * @param connection one that the caller has
   */
  public @Nullable Topic find(String topic, Connection connection) {
    Topic found = known.get(topic);
    if (found == null) {
      refresh(connection);
      found = known.get(topic);
    }
    return found;
  }

  /**
   * Returns a registered topic; reads the table again for one that is not yet known, and once a
   * minute: relays keep the limits there.
   *
   * @param connection one that the caller has: asking the pool for another could wait for ever
   */
  public Topic get(String topic, Connection connection) {
    if (System.nanoTime() - readAt > OLD_NANOS) {
      refresh(connection);
    }
    Topic found = find(topic, connection);
    if (found == null) {
      throw new OutboxException(
          "Topic '%s' is not registered with this outbox; call register(topic, lane, partitions) at start"
              .formatted(topic));
    }
    return found;
  }

  /** Remembers topics that are there, and returns the registered ones that never were. */
  public Set<String> neverSeen(Connection connection, Set<String> present) throws SQLException {
    Set<String> missing = new TreeSet<>();
    try (PreparedStatement select =
            connection.prepareStatement("SELECT topic FROM lockstep_outbox_topic WHERE NOT seen");
        PreparedStatement update =
            connection.prepareStatement(
                "UPDATE lockstep_outbox_topic SET seen = true WHERE topic = ?")) {
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          missing.add(row.getString(1));
        }
      }
      for (String topic : missing) {
        if (present.contains(topic)) {
          update.setString(1, topic);
          update.executeUpdate();
        }
      }
    }
    missing.removeAll(present);
    return missing;
  }

  /** Returns all registered topics, by name. */
  public Map<String, Topic> all() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      return all(connection);
    }
  }

  /** The same over a connection that the caller has. */
  public Map<String, Topic> all(Connection connection) throws SQLException {
    known = readAll(connection);
    return known;
  }

  /** Returns the names of all registered topics. */
  public Set<String> registered() throws SQLException {
    return new TreeSet<>(all().keySet());
  }

  private void refresh(Connection connection) {
    try {
      known = readAll(connection);
    } catch (SQLException e) {
      throw new OutboxException("Registered topics could not be read", e);
    }
  }

  private Map<String, Topic> readAll(Connection connection) throws SQLException {
    Map<String, Topic> all = new HashMap<>();
    try (PreparedStatement select =
            connection.prepareStatement(
                "SELECT topic, lane, coalesce(partitions, 0), max_bytes, on_poison FROM lockstep_outbox_topic");
        ResultSet rows = select.executeQuery()) {
      while (rows.next()) {
        all.put(
            rows.getString(1),
            new Topic(
                rows.getString(1),
                Lane.of(rows.getInt(2)),
                rows.getInt(3),
                rows.getInt(4),
                PoisonPolicy.of(rows.getInt(5))));
      }
    }
    readAt = System.nanoTime();
    return Map.copyOf(all);
  }
}
