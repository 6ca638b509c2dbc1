package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * Takes each record of a partition once, by one row for the partition instead of one for each
 * message. Only for topics of the exactly-once lane, read with {@code read_committed}: there a
 * record has one offset and no more; on the express lane a repeat has an offset of its own. {@link
 * InboxConsumer} runs a whole consumer on it. Thread-safe.
 *
 * <p>Shape: table {@code lockstep_inbox_offset} (consumer, topic_id, part, topic, next_offset,
 * epoch). The topic's id is part of the key: a topic that was made anew begins again.
 *
 * <p>Guarantee: what one claim has handled no other handles again, and who claimed before cannot
 * commit any more. The epoch is the row's own, since that of a consumer group begins again when the
 * group is forgotten.
 */
public final class OffsetInbox {

  private static final String KEY = " WHERE consumer = ? AND topic_id = ? AND part = ?";

  /**
   * The right to handle a partition, until somebody claims it after.
   *
   * @param topicId id of the topic, as Kafka writes it
   * @param partition of the topic
   * @param epoch rises with each claim
   * @param nextOffset where to begin: the consumer seeks there
   */
  public record Claim(String topicId, int partition, long epoch, long nextOffset) {}

  private final String consumer;

  /**
   * Names a consumer.
   *
   * @param consumer who handles records, 1 to 200 characters
   */
  public OffsetInbox(String consumer) {
    this.consumer = Inbox.requireConsumer(consumer);
  }

  /**
   * Claims a partition that was assigned. Commits nothing: the claim holds when the caller's
   * transaction commits.
   *
   * @param connection an open transaction of its own
   * @param topic physical name, for people
   * @param topicId id of the topic, as Kafka writes it
   * @param partition of the topic
   * @param from where the very first claim begins
   * @return the claim
   * @throws SQLException from the database
   */
  public Claim claim(Connection connection, String topic, String topicId, int partition, long from)
      throws SQLException {
    if (!take(connection, topicId, partition)) {
      boolean isFirst =
          Dialect.of(connection)
              .insertOnce(
                  connection,
                  "INSERT INTO lockstep_inbox_offset"
                      + " (consumer, topic_id, part, topic, next_offset, epoch)"
                      + " VALUES (?, ?, ?, ?, ?, 1)",
                  insert -> {
                    key(insert, 1, topicId, partition);
                    insert.setString(4, topic);
                    insert.setLong(5, from);
                  });
      if (!isFirst && !take(connection, topicId, partition)) {
        throw new SQLException("lockstep_inbox_offset changed beside the claim; try again");
      }
    }
    return read(connection, topicId, partition);
  }

  /**
   * Begins to handle: holds the partition until the transaction ends.
   *
   * @param connection the handler's open transaction
   * @param claim of this consumer
   * @return first offset that is not handled; records before it are repeats
   * @throws ClaimLostException when somebody else claimed the partition meanwhile: roll back, and
   *     join the group again
   * @throws SQLException from the database
   */
  public long begin(Connection connection, Claim claim) throws SQLException {
    Claim now = read(connection, claim.topicId(), claim.partition());
    if (now.epoch() != claim.epoch()) {
      throw new ClaimLostException(
          "Partition %d of topic %s was claimed for '%s' under epoch %d, this consumer has %d: it handles nothing any more"
              .formatted(claim.partition(), claim.topicId(), consumer, now.epoch(), claim.epoch()));
    }
    return now.nextOffset();
  }

  /**
   * Ends handling, after {@link #begin} in the same transaction.
   *
   * @param connection the handler's open transaction
   * @param claim of this consumer
   * @param nextOffset behind the last record that was handled
   * @throws ClaimLostException when the row is not as {@link #begin} left it: the transaction was
   *     taken back in between
   * @throws SQLException from the database
   */
  public void end(Connection connection, Claim claim, long nextOffset) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_inbox_offset SET next_offset = ?"
                + KEY
                + " AND epoch = ? AND next_offset < ?")) {
      update.setLong(1, nextOffset);
      key(update, 2, claim.topicId(), claim.partition());
      update.setLong(5, claim.epoch());
      update.setLong(6, nextOffset);
      if (update.executeUpdate() != 1) {
        throw new ClaimLostException(
            "Partition %d of topic %s cannot be moved on to %d for '%s': another claim moved it"
                .formatted(claim.partition(), claim.topicId(), nextOffset, consumer));
      }
    }
  }

  private boolean take(Connection connection, String topicId, int partition) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement("UPDATE lockstep_inbox_offset SET epoch = epoch + 1" + KEY)) {
      key(update, 1, topicId, partition);
      return update.executeUpdate() == 1;
    }
  }

  private Claim read(Connection connection, String topicId, int partition) throws SQLException {
    Claim claim = find(connection, topicId, partition);
    if (claim == null) {
      throw new SQLException(
          "lockstep_inbox_offset has no row for '%s', topic %s, partition %d: claim it first"
              .formatted(consumer, topicId, partition));
    }
    return claim;
  }

  /** Returns who claimed last, and holds the partition until the transaction ends. */
  @Nullable Claim find(Connection connection, String topicId, int partition) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT epoch, next_offset FROM lockstep_inbox_offset" + KEY + " FOR UPDATE")) {
      key(select, 1, topicId, partition);
      try (ResultSet row = select.executeQuery()) {
        return row.next() ? new Claim(topicId, partition, row.getLong(1), row.getLong(2)) : null;
      }
    }
  }

  /** Sets a partition behind {@link #find}; whoever claimed it before handles nothing any more. */
  void move(Connection connection, Claim found, long nextOffset) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_inbox_offset SET next_offset = ?, epoch = epoch + 1" + KEY)) {
      update.setLong(1, nextOffset);
      key(update, 2, found.topicId(), found.partition());
      int unused = update.executeUpdate();
    }
  }

  private void key(PreparedStatement statement, int first, String topicId, int partition)
      throws SQLException {
    statement.setString(first, consumer);
    statement.setString(first + 1, topicId);
    statement.setInt(first + 2, partition);
  }
}
