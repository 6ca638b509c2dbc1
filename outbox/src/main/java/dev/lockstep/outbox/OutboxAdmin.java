package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.relay.Reconcile;
import dev.lockstep.outbox.internal.relay.Replay;
import dev.lockstep.outbox.internal.relay.Segments;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.function.LongConsumer;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * What operators do with an outbox. Works on the database, and the relays that own the shards grant
 * the wishes within a second; {@link #truncatePublished}, {@link #replay} and {@link #reconcile}
 * ask Kafka as well. Whatever takes a principal and a reason is written with them to {@code
 * lockstep_outbox_operation}, in the same transaction. Thread-safe.
 */
public final class OutboxAdmin {

  private static final int MOST_COUNTED = 10_000;

  private final DataSource dataSource;
  private final Operations operations;

  /**
   * Works on an outbox.
   *
   * @param dataSource of the outbox, with the role {@code lockstep_operator}; for {@link
   *     #truncatePublished} {@code lockstep_relay}, for {@link #reconcile} {@code
   *     lockstep_reconciler}, for {@link #configure} the owner of the tables
   */
  public OutboxAdmin(DataSource dataSource) {
    this.dataSource = dataSource;
    this.operations = new Operations(dataSource);
  }

  /**
   * Tells what the outbox holds.
   *
   * @return counts and ages
   * @throws SQLException from the database
   */
  public OutboxStatus status() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      Dialect dialect = Dialect.of(connection);
      try (PreparedStatement select = connection.prepareStatement(status(dialect))) {
        select.setInt(1, MOST_COUNTED);
        select.setInt(2, MOST_COUNTED);
        select.setInt(3, MOST_COUNTED);
        try (ResultSet row = select.executeQuery()) {
          row.next();
          long age = row.getLong(2);
          Optional<Duration> oldest =
              row.wasNull() ? Optional.empty() : Optional.of(Duration.ofMillis(age));
          return new OutboxStatus(
              row.getInt(1),
              oldest,
              Duration.ofSeconds(row.getLong(3)),
              row.getInt(4),
              row.getInt(5),
              Optional.ofNullable(row.getString(6)));
        }
      }
    }
  }

  private static String status(Dialect dialect) {
    return "SELECT (SELECT count(*) FROM (SELECT 1 AS n FROM lockstep_outbox LIMIT ?) a), "
        + dialect.now()
        + " - (SELECT "
        + dialect.millis("created_at")
        + " FROM lockstep_outbox ORDER BY seq LIMIT 1), "
        // without segments nothing stays behind its publishing
        + (dialect.hasSnapshots() ? "(segments - 2) * segment_seconds" : "0")
        + ", (SELECT count(*) FROM (SELECT 1 AS n FROM lockstep_outbox_scheduled LIMIT ?) b)"
        + ", (SELECT count(*) FROM (SELECT 1 AS n FROM lockstep_outbox_parked LIMIT ?) c)"
        + ", paused_by FROM lockstep_outbox_meta";
  }

  /**
   * Lists keys and topics whose rows wait.
   *
   * @param most how many at most
   * @return the oldest first
   * @throws SQLException from the database
   */
  public List<BlockedKey> blocked(int most) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT topic, whole_topic, msg_key, reason, "
                    + Dialect.of(connection).millis("since")
                    + ", (SELECT count(*) FROM lockstep_outbox_parked p WHERE p.shard = b.shard"
                    + " AND p.blocked AND p.topic = b.topic"
                    + " AND (b.whole_topic OR p.msg_key = b.msg_key))"
                    + " FROM lockstep_outbox_blocked b ORDER BY since LIMIT ?")) {
      select.setInt(1, most);
      List<BlockedKey> blocked = new ArrayList<>();
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          blocked.add(
              new BlockedKey(
                  row.getString(1),
                  row.getBoolean(2) ? null : row.getBytes(3),
                  row.getString(4),
                  Instant.ofEpochMilli(row.getLong(5)),
                  row.getInt(6)));
        }
      }
      return blocked;
    }
  }

  /**
   * Lists rows that were put aside.
   *
   * @param most how many at most
   * @return in the order in which they were written
   * @throws SQLException from the database
   */
  public List<ParkedRow> parked(int most) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT id, topic, msg_key, coalesce(octet_length(payload), 0), reason, created_at,"
                    + " blocked FROM lockstep_outbox_parked ORDER BY seq LIMIT ?")) {
      Dialect dialect = Dialect.of(connection);
      select.setInt(1, most);
      List<ParkedRow> parked = new ArrayList<>();
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          Instant createdAt = Instant.ofEpochMilli(dialect.createdAt(row, 6));
          parked.add(
              new ParkedRow(
                  dialect.id(row, 1),
                  row.getString(2),
                  row.getBytes(3),
                  row.getInt(4),
                  row.getString(5),
                  createdAt,
                  row.getBoolean(7)));
        }
      }
      return parked;
    }
  }

  /**
   * Publishes what waits behind a key or a topic, in its order, and then lets its new rows follow.
   * If a row is still refused the block stays, with the new reason.
   *
   * @param topic physical name
   * @param key record key; null: the whole topic
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when it is not blocked
   * @throws SQLException from the database
   */
  public boolean unblock(String topic, byte @Nullable [] key, String principal, String reason)
      throws SQLException {
    return change(
        principal,
        reason,
        "unblock " + (key == null ? "topic " : "a key of ") + topic,
        "UPDATE lockstep_outbox_blocked SET unblock_requested = true"
            + " WHERE topic = ? AND whole_topic = ? AND msg_key = ?",
        (update, dialect) -> {
          update.setString(1, topic);
          update.setBoolean(2, key == null);
          update.setBytes(3, key == null ? new byte[0] : key);
        });
  }

  /**
   * Publishes a row that was parked alone.
   *
   * @param id identity of the message
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when no such row is parked alone
   * @throws SQLException from the database
   */
  public boolean publishAgain(UUID id, String principal, String reason) throws SQLException {
    return change(
        principal,
        reason,
        "publish again " + id,
        "UPDATE lockstep_outbox_parked SET released = true WHERE id = ? AND NOT blocked",
        (update, dialect) -> dialect.setId(update, 1, id));
  }

  /**
   * Drops a row that was put aside: it is never published.
   *
   * @param id identity of the message
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when no such row was put aside
   * @throws SQLException from the database
   */
  public boolean discard(UUID id, String principal, String reason) throws SQLException {
    return change(
        principal,
        reason,
        "discard " + id,
        // one that its relay is publishing now cannot be taken back
        "DELETE FROM lockstep_outbox_parked WHERE id = ? AND NOT released",
        (delete, dialect) -> dialect.setId(delete, 1, id));
  }

  /**
   * Lets all relays stop publishing; writers go on.
   *
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @throws SQLException from the database
   */
  public void pause(String principal, String reason) throws SQLException {
    boolean unused =
        change(
            principal,
            reason,
            "pause",
            "UPDATE lockstep_outbox_meta SET paused_by = ?",
            (update, dialect) -> update.setString(1, principal + ": " + reason));
  }

  /**
   * Lets relays publish again.
   *
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @throws SQLException from the database
   */
  public void resume(String principal, String reason) throws SQLException {
    boolean unused =
        change(
            principal,
            reason,
            "resume",
            "UPDATE lockstep_outbox_meta SET paused_by = NULL",
            (update, dialect) -> {});
  }

  /**
   * Truncates all segments whose rows are published, the one that is written now included. What was
   * published can then no longer be replayed.
   *
   * @param options of the relay
   * @return true when the ledger is empty
   * @throws SQLException from the database
   */
  public boolean truncatePublished(RelayOptions options) throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      if (!Dialect.of(connection).hasSnapshots()) {
        return status().rows() == 0;
      }
    }
    return new Segments(dataSource, options).truncateAll();
  }

  /**
   * Sends rows that are published once more, in their order, with the header {@code
   * lockstep-replay}. Relays go on beside it, no position moves. Consumers that remember ids know
   * them; those that count offsets handle them again, unless they look at the header or read
   * another topic.
   *
   * @param options of the relay
   * @param request which rows, and where to
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @param progress told how many rows were sent so far
   * @return how many rows were sent, all of them acknowledged
   * @throws OutboxException when Kafka refuses one, or the database keeps no published rows
   * @throws SQLException from the database
   */
  public long replay(
      RelayOptions options,
      ReplayRequest request,
      String principal,
      String reason,
      LongConsumer progress)
      throws SQLException {
    String name = "%s of %s, %s".formatted(request.topic(), request.from(), UUID.randomUUID());
    boolean unused =
        change(
            principal,
            reason,
            "replay %s until %s to %s".formatted(name, request.until(), request.target()),
            connection -> true);
    return new Replay(dataSource, options).run(request, name, progress);
  }

  /**
   * Gives an outbox positions again that relays can go on from, when they refuse to start because
   * the database was restored, went back in time or was moved by dump and restore, or because the
   * position topic was lost. What the ledger has is looked for in its topics, by the ids of rows;
   * only what is in none of them is published, in its order. PostgreSQL only.
   *
   * <p>What comes in: the ledger, complete (a restore has ended), its topics, and a position topic
   * with a partition for each shard. What goes out: rows, and positions under a new id of the
   * outbox; rows that wait aside stay there unless they are found. Records that were deleted from a
   * topic by hand, or with it, count as never published.
   *
   * <p>After a crash or an error no relay publishes until this was run again, to the end. What was
   * sent by then is found: nothing is lost, and nothing is repeated on the exactly-once lane; on
   * the express lane rows may be repeated, which receivers drop by id.
   *
   * <p>Relays need not be stopped. They are fenced, wait, and go on by themselves when this has
   * ended. Writers go on. One run at a time: a later one stops an earlier one. Also publishes while
   * the outbox is paused. Blocks; holds the ids of the ledger's rows in memory.
   *
   * @param options of the relay
   * @param request what to go by
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @param progress told how far it is, a line each time; what it throws ends the run
   * @return what was found and done, rows that the database has lost among it
   * @throws OutboxException when a topic does not reach back far enough, shards differ, the
   *     database has no snapshots (then nothing is changed), or Kafka fails: run it again
   * @throws SQLException from the database: run it again
   */
  public ReconcileReport reconcile(
      RelayOptions options,
      ReconcileRequest request,
      String principal,
      String reason,
      Consumer<String> progress)
      throws SQLException {
    Reconcile reconcile = new Reconcile(dataSource, options, request, progress);
    reconcile.check();
    boolean begun =
        change(principal, reason, "reconcile, new source " + reconcile.source(), reconcile::begin);
    if (!begun) {
      throw new OutboxException("lockstep_outbox_meta has no row: run the migration");
    }
    ReconcileReport report = reconcile.run();
    boolean unused =
        change(
            principal,
            reason,
            "reconciled, source %s: %d rows, %d published before, %d sent, %d lost"
                .formatted(
                    report.source(),
                    report.rows(),
                    report.published(),
                    report.sent(),
                    report.lost()),
            reconcile::end);
    return report;
  }

  /**
   * Changes shards and segments of an empty ledger: see {@link #truncatePublished}. Stop the relays
   * first, and give them the new number and a position topic with as many partitions.
   *
   * @param shards of each lane, 1 to 64
   * @param segments 3 to 96
   * @param each how long a segment is written, 1 s to 1 day
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @throws SQLException when the ledger has rows, or a number is out of bounds
   * @throws OutboxException the same on MariaDB and H2, where segments are not looked at and the
   *     change is not one transaction: stop writers too
   */
  public void configure(int shards, int segments, Duration each, String principal, String reason)
      throws SQLException {
    boolean unused =
        change(
            principal,
            reason,
            "configure shards %d, segments %d of %s".formatted(shards, segments, each),
            connection -> {
              Dialect.of(connection)
                  .configure(connection, shards, segments, (int) each.toSeconds());
              return true;
            });
  }

  private interface Parameters {
    void set(PreparedStatement statement, Dialect dialect) throws SQLException;
  }

  private interface Change {
    boolean of(Connection connection) throws SQLException;
  }

  private boolean change(
      String principal, String reason, String operation, String sql, Parameters parameters)
      throws SQLException {
    return change(
        principal,
        reason,
        operation,
        connection -> {
          try (PreparedStatement change = connection.prepareStatement(sql)) {
            parameters.set(change, Dialect.of(connection));
            return change.executeUpdate() > 0;
          }
        });
  }

  private boolean change(String principal, String reason, String operation, Change change)
      throws SQLException {
    return operations.run(
        principal, reason, connection -> change.of(connection) ? operation : null);
  }
}
