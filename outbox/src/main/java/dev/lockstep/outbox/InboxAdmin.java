package dev.lockstep.outbox;

import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.internal.inbox.Gap;
import dev.lockstep.outbox.internal.inbox.InboxTopics;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicInteger;
import javax.sql.DataSource;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

/**
 * What operators do with messages that an {@link InboxConsumer} put aside, or that are gone. Works
 * on the database, and {@link #acceptLoss} on Kafka as well: the running consumer that owns a
 * message's partition grants the wish within a second or two. Each wish is written to {@code
 * lockstep_outbox_operation} with who and why, in the same transaction. Thread-safe.
 *
 * <p>Guarantee: a message that is retried goes through the consumer's handler in one transaction
 * with the deletion of its row, so once, whatever dies when. Its place is lost: later messages of
 * its partition and its key went before it. If the handler refuses it again it stays, with the new
 * reason.
 */
public final class InboxAdmin {

  private final DataSource dataSource;
  private final Operations operations;

  /**
   * Works on an inbox.
   *
   * @param dataSource of the inbox, with the rights of an operator
   */
  public InboxAdmin(DataSource dataSource) {
    this.dataSource = dataSource;
    this.operations = new Operations(dataSource);
  }

  /**
   * Lists messages that a consumer put aside.
   *
   * @param consumer its name
   * @param most how many at most
   * @return in the order in which they were put aside
   * @throws SQLException from the database
   */
  public List<ParkedMessage> parked(String consumer, int most) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement select =
            connection.prepareStatement(
                "SELECT n, topic, part, record_offset, msg_key,"
                    + " coalesce(octet_length(payload), 0), reason, "
                    + Dialect.of(connection).millis("parked_at")
                    + ", released FROM lockstep_inbox_parked WHERE consumer = ?"
                    + " ORDER BY n LIMIT ?")) {
      select.setString(1, consumer);
      select.setInt(2, most);
      List<ParkedMessage> parked = new ArrayList<>();
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          parked.add(
              new ParkedMessage(
                  row.getLong(1),
                  consumer,
                  row.getString(2),
                  row.getInt(3),
                  row.getLong(4),
                  row.getBytes(5),
                  row.getInt(6),
                  row.getString(7),
                  Instant.ofEpochMilli(row.getLong(8)),
                  row.getBoolean(9)));
        }
      }
      return parked;
    }
  }

  /**
   * Has a message handled again.
   *
   * @param id of its row: {@link ParkedMessage#id}
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when it is not there any more, or released already
   * @throws SQLException from the database
   */
  public boolean retry(long id, String principal, String reason) throws SQLException {
    return operations.run(
        principal,
        reason,
        connection ->
            change(
                connection,
                id,
                "retry",
                "UPDATE lockstep_inbox_parked SET released = true WHERE n = ? AND NOT released"));
  }

  /**
   * Has all messages of a consumer handled again, in the order in which they were put aside.
   *
   * @param consumer its name
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return how many were released by this call
   * @throws SQLException from the database
   */
  public int retryAll(String consumer, String principal, String reason) throws SQLException {
    AtomicInteger released = new AtomicInteger();
    boolean unused =
        operations.run(
            principal,
            reason,
            connection -> {
              try (PreparedStatement update =
                  connection.prepareStatement(
                      "UPDATE lockstep_inbox_parked SET released = true"
                          + " WHERE consumer = ? AND NOT released")) {
                update.setString(1, consumer);
                released.set(update.executeUpdate());
              }
              return released.get() == 0
                  ? null
                  : "retry all %d parked messages of %s".formatted(released.get(), consumer);
            });
    return released.get();
  }

  /**
   * Drops a message: it is never handled. Waits for a consumer that is handling it right now.
   *
   * @param id of its row: {@link ParkedMessage#id}
   * @param principal who wants it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when it is not there any more: handled, or dropped
   * @throws SQLException from the database
   */
  public boolean discard(long id, String principal, String reason) throws SQLException {
    return operations.run(
        principal,
        reason,
        connection ->
            change(connection, id, "discard", "DELETE FROM lockstep_inbox_parked WHERE n = ?"));
  }

  /**
   * Lets a partition go on behind records that are gone: deleted before they were handled, or lost
   * with the end of their topic. {@link InboxHealth#faults} tells which partition stands still for
   * that. With {@link Mode#OFFSETS} a running consumer goes on within some three seconds. With
   * {@link Mode#IDS} Kafka keeps the offsets: the consumer must be stopped, and goes on when it is
   * started.
   *
   * <p>An end that is lost is looked at for five seconds, since it may come back behind a change of
   * leaders. Asks Kafka as well, with the rights to describe the topic and, for {@link Mode#IDS},
   * to read the group. Should the process end between Kafka's answer and the commit, the offset is
   * moved and nothing is written down.
   *
   * @param options of the consumer
   * @param topic one of its topics
   * @param partition of the topic
   * @param principal who accepts it, 1 to 256 characters
   * @param reason why, 1 to 2,000 characters
   * @return false when nothing is missing there: nothing was changed
   * @throws IllegalArgumentException when the consumer does not take the topic
   * @throws OutboxException when Kafka does not answer, or a consumer by ids runs
   * @throws SQLException from the database; or a consumer holds the partition for long
   */
  public boolean acceptLoss(
      InboxOptions options, String topic, int partition, String principal, String reason)
      throws SQLException {
    if (!options.topics().contains(topic)) {
      throw new IllegalArgumentException(
          "Consumer '%s' does not take topic '%s', it takes %s"
              .formatted(options.consumer(), topic, options.topics()));
    }
    TopicPartition place = new TopicPartition(topic, partition);
    try (InboxTopics topics = new InboxTopics(options)) {
      return operations.run(
          principal,
          reason,
          connection -> {
            Gap gap =
                options.mode() == Mode.OFFSETS
                    ? passOffsets(connection, options.consumer(), topics, place)
                    : passIds(topics, place);
            return gap == null
                ? null
                : "accept the loss in %s of %s: %s"
                    .formatted(place, options.consumer(), gap.describe());
          });
    }
  }

  private static @Nullable Gap passOffsets(
      Connection connection, String consumer, InboxTopics topics, TopicPartition place)
      throws SQLException {
    OffsetInbox offsets = new OffsetInbox(consumer);
    OffsetInbox.Claim found =
        offsets.find(connection, topics.topicId(place.topic()), place.partition());
    Gap gap = found == null ? null : topics.gap(place, found.nextOffset());
    if (found != null && gap != null) {
      offsets.move(connection, found, gap.goesOnAt());
    }
    return gap;
  }

  private static @Nullable Gap passIds(InboxTopics topics, TopicPartition place) {
    OptionalLong committed = topics.committed(place);
    Gap gap = committed.isEmpty() ? null : topics.gap(place, committed.getAsLong());
    if (gap != null) {
      topics.commit(place, gap.goesOnAt());
    }
    return gap;
  }

  private static @Nullable String change(Connection connection, long id, String what, String sql)
      throws SQLException {
    try (PreparedStatement select =
            connection.prepareStatement(
                "SELECT consumer, topic, part, record_offset FROM lockstep_inbox_parked"
                    + " WHERE n = ? FOR UPDATE");
        PreparedStatement change = connection.prepareStatement(sql)) {
      select.setLong(1, id);
      change.setLong(1, id);
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          return null;
        }
        String done =
            "%s %s-%d@%d of %s"
                .formatted(what, row.getString(2), row.getInt(3), row.getLong(4), row.getString(1));
        return change.executeUpdate() == 0 ? null : done;
      }
    }
  }
}
