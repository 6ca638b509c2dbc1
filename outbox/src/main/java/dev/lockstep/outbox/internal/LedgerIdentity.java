package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.sql.DataSource;
import org.apache.kafka.clients.admin.Admin;

/**
 * Ties a ledger to the position topic that says how far it was published. Against another one, or
 * one that was made anew, a relay would publish the whole ledger again.
 */
final class LedgerIdentity {

  private static final long TIMEOUT_SECONDS = 20;

  private record Place(String cluster, String topic) {}

  private LedgerIdentity() {}

  /** The first relay of a ledger ties it; every later one compares. */
  static void require(DataSource dataSource, RelayOptions options) throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(true);
      require(connection, options);
    }
  }

  /** The same on a connection that its caller has: a shard never needs a second one. */
  static void require(Connection connection, RelayOptions options) throws SQLException {
    Place here = here(options);
    try (PreparedStatement first =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_meta SET cluster_id = ?, positions_topic_id = ?"
                + " WHERE positions_topic_id IS NULL")) {
      first.setString(1, here.cluster());
      first.setString(2, here.topic());
      first.executeUpdate();
    }
    Place tied = tied(connection);
    if (!tied.equals(here)) {
      throw new OutboxException(
          "Outbox '%s' was published to cluster %s with positions in topic %s; '%s' is cluster %s, topic %s. A relay here would publish everything in the ledger again: point it at the old one, or, if that is wanted, set positions_topic_id in lockstep_outbox_meta to NULL"
              .formatted(
                  options.name(),
                  tied.cluster(),
                  tied.topic(),
                  options.positionsTopic(),
                  here.cluster(),
                  here.topic()));
    }
  }

  private static Place tied(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT cluster_id, positions_topic_id FROM lockstep_outbox_meta")) {
      if (!row.next()) {
        throw new SQLException("lockstep_outbox_meta has no row: run the migration");
      }
      return new Place(row.getString(1), row.getString(2));
    }
  }

  private static Place here(RelayOptions options) {
    String topic = options.positionsTopic();
    try (Admin admin = Admin.create(options.config().client())) {
      String cluster = admin.describeCluster().clusterId().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      String topicId =
          Objects.requireNonNull(
                  admin
                      .describeTopics(List.of(topic))
                      .allTopicNames()
                      .get(TIMEOUT_SECONDS, TimeUnit.SECONDS)
                      .get(topic))
              .topicId()
              .toString();
      return new Place(cluster, topicId);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at '" + topic + "'", e);
    } catch (ExecutionException | TimeoutException e) {
      throw new OutboxException(
          "Position topic '%s' cannot be described: %s".formatted(topic, e), e);
    }
  }
}
