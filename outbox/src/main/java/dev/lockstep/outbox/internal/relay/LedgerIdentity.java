package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.relay.RelayPosition.Origin;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.jspecify.annotations.Nullable;

/**
 * Ties a ledger to the position topic that says how far it was published, and a position to its
 * ledger. Where the two do not belong together a relay would publish everything again, or pass over
 * rows; it stops instead.
 */
final class LedgerIdentity {

  private static final long TIMEOUT_SECONDS = 20;

  /** Stands in {@code positions_topic_id} while a reconcile is under way. */
  static final String RECONCILING = "reconciling";

  /** A position topic: id of its cluster, and its own. */
  record Place(String cluster, String topic) {}

  /**
   * A ledger as it is now.
   *
   * @param snapshot taken now
   * @param sequence last seq that was drawn
   * @param reachSeconds how long rows stay at least
   */
  record Now(Origin origin, String snapshot, long sequence, long reachSeconds) {}

  private LedgerIdentity() {}

  /** The first relay of a ledger ties it; every later one compares. */
  static void require(Connection connection, RelayOptions options) throws SQLException {
    Place here = here(options);
    try (Statement anew = connection.createStatement();
        PreparedStatement first =
            connection.prepareStatement(
                "UPDATE lockstep_outbox_meta SET cluster_id = ?, positions_topic_id = ?"
                    + " WHERE positions_topic_id IS NULL")) {
      // epochs begin anew with the topic
      anew.executeUpdate(
          "DELETE FROM lockstep_outbox_owner WHERE EXISTS"
              + " (SELECT 1 FROM lockstep_outbox_meta WHERE positions_topic_id IS NULL)");
      first.setString(1, here.cluster());
      first.setString(2, here.topic());
      first.executeUpdate();
    }
    Place tied = tied(connection);
    if (tied.topic().equals(RECONCILING)) {
      throw new OutboxException(
          "Outbox '%s' is being reconciled, or a reconcile ended halfway: then run OutboxAdmin.reconcile again"
              .formatted(options.name()));
    }
    if (!tied.equals(here)) {
      throw new OutboxException(
          "Outbox '%s' was published to cluster %s with positions in topic %s; '%s' is cluster %s, topic %s. A relay here would publish everything in the ledger again. Point it at the old one; or, where that is lost, let OutboxAdmin.reconcile find out what was published (PostgreSQL); or, if everything is wanted again, set positions_topic_id in lockstep_outbox_meta to NULL"
              .formatted(
                  options.name(),
                  tied.cluster(),
                  tied.topic(),
                  options.positionsTopic(),
                  here.cluster(),
                  here.topic()));
    }
  }

  /** Reads what the ledger is. */
  static Now now(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT m.source, (SELECT system_identifier FROM pg_control_system()),"
                    + " ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint,"
                    + " pg_current_snapshot()::text, s.last_value,"
                    + " (m.segments - 1) * m.segment_seconds"
                    + " FROM lockstep_outbox_meta m, lockstep_outbox_seq s")) {
      if (!row.next()) {
        throw new SQLException("lockstep_outbox_meta has no row: run the migration");
      }
      return new Now(
          new Origin(row.getString(1), row.getString(2), row.getLong(3)),
          row.getString(4),
          row.getLong(5),
          row.getLong(6));
    }
  }

  /**
   * Compares a position with the ledger that is there. A database that went back in time, by a
   * restore or a fail-over that lost commits, hands out the same numbers again.
   *
   * @throws OutboxException when the position is not one in this ledger
   */
  static void require(RelayPosition position, Now now, Connection connection, int shard)
      throws SQLException {
    Origin before = position.origin();
    if (before.equals(Origin.NONE)) {
      return;
    }
    String wrong = null;
    if (before.isUnfinished()) {
      wrong = "a reconcile of it did not end";
    } else if (!before.source().equals(now.origin().source())) {
      wrong = "it belongs to outbox %s, this is %s".formatted(before, now.origin());
    } else if (!before.system().equals(now.origin().system())) {
      wrong =
          "the ledger was moved to another PostgreSQL cluster, where transaction ids begin anew"
              + " (%s, now %s)".formatted(before.system(), now.origin().system());
    } else if (now.sequence() < position.maxSeq()) {
      wrong =
          "the database went back: seq %d after %d".formatted(now.sequence(), position.maxSeq());
    } else if (before.timeline() != now.origin().timeline()
        || Seen.of(position.prev()).reachesBeyond(Seen.of(now.snapshot()))) {
      // a fail-over, or a crash that hands out the ids of rolled-back transactions again
      wrong = lost(position, now, connection, shard);
    }
    if (wrong != null) {
      throw new OutboxException(
          "Position of shard %d is not one in this ledger: %s. Nothing is published until OutboxAdmin.reconcile has compared the ledger with its topics; to publish again everything that the ledger still has, create the position topic anew and set positions_topic_id in lockstep_outbox_meta to NULL"
              .formatted(shard, wrong));
    }
  }

  /** Rows that were published must still be there, or commits were lost. */
  private static @Nullable String lost(
      RelayPosition position, Now now, Connection connection, int shard) throws SQLException {
    List<UUID> newest = position.newest().stream().map(UUID::fromString).toList();
    if (newest.isEmpty()) {
      return null;
    }
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT count(*), coalesce(bool_or(id = ?), false), extract(epoch FROM now())::bigint"
                + " FROM lockstep_outbox WHERE shard = ? AND id = ANY(?)")) {
      select.setObject(1, newest.get(newest.size() - 1));
      select.setInt(2, shard);
      select.setArray(3, connection.createArrayOf("uuid", newest.toArray()));
      try (ResultSet row = select.executeQuery()) {
        row.next();
        int present = row.getInt(1);
        boolean isLastPresent = row.getBoolean(2);
        boolean isOld = row.getLong(3) - position.newestAt() / 1_000 > now.reachSeconds() / 2;
        return present == newest.size()
                || (isOld && (isLastPresent || !hasNeighbours(position.newestAt(), connection)))
            ? null
            : "the database went back (timeline %d): %d of the %d rows published last are missing"
                .formatted(now.origin().timeline(), newest.size() - present, newest.size());
      }
    }
  }

  /**
   * Tells whether rows are left of the stretch of time in which one was written: a segment is
   * truncated as a whole, so that one is missing for another reason.
   */
  private static boolean hasNeighbours(long writtenAt, Connection connection) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT EXISTS (SELECT FROM lockstep_outbox o, lockstep_outbox_meta m"
                + " WHERE extract(epoch FROM o.created_at)::bigint / m.segment_seconds"
                // rounded as a segment's number is
                + " = (? + 500) / 1000 / m.segment_seconds)")) {
      select.setLong(1, writtenAt);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        return row.getBoolean(1);
      }
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

  static Place here(RelayOptions options) {
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
