package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.schema.RowSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;

/**
 * Tells repeats, late rows of relays that were replaced, and losses, by the numbers that a relay
 * gives its rows: 1, 2, ... per relay epoch, shard and partition of a topic. One number for each
 * shard of an outbox; for audits from end to end. Thread-safe.
 *
 * <p>Shape: table {@code lockstep_inbox_sequence} (consumer, topic, part, source, shard, epoch, n).
 *
 * <p>Bounds: only rows with a key or a partition are numbered, and only of topics whose partitions
 * the relay knows. Rows that were lost behind the last one of an epoch do not show.
 */
public final class SequenceInbox {

  private static final String KEY =
      " WHERE consumer = ? AND topic = ? AND part = ? AND source = ? AND shard = ?";

  /** What a row is. */
  public enum Kind {
    /** The next one. */
    NEXT,
    /** One that came before, or of a relay that was replaced. */
    REPEAT,
    /** Rows before it never came. */
    GAP,
    /** It has no number: Kafka chose its partition. */
    UNCOUNTED
  }

  /**
   * What a row is.
   *
   * @param kind next, repeat, gap or without a number
   * @param missing rows before it that never came
   */
  public record Verdict(Kind kind, long missing) {}

  private final String consumer;

  /**
   * Names a consumer.
   *
   * @param consumer who takes rows, 1 to 200 characters
   */
  public SequenceInbox(String consumer) {
    this.consumer = Inbox.requireConsumer(consumer);
  }

  /**
   * Compares a row with those before it, and remembers it.
   *
   * @param connection the handler's open transaction
   * @param topic that it was read from
   * @param partition that it was read from
   * @param row its header {@code lockstep-row}
   * @return what it is; the first row of a shard that is ever seen counts as the next one
   * @throws SQLException from the database
   */
  public Verdict take(Connection connection, String topic, int partition, RowSource row)
      throws SQLException {
    if (row.n() < 1) {
      return new Verdict(Kind.UNCOUNTED, 0);
    }
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT epoch, n FROM lockstep_inbox_sequence" + KEY + " FOR UPDATE")) {
      key(select, 1, topic, partition, row);
      try (ResultSet last = select.executeQuery()) {
        if (last.next()) {
          return after(connection, topic, partition, row, last.getLong(1), last.getLong(2));
        }
      }
    }
    boolean isFirst =
        Dialect.of(connection)
            .insertOnce(
                connection,
                "INSERT INTO lockstep_inbox_sequence"
                    + " (consumer, topic, part, source, shard, epoch, n) VALUES (?, ?, ?, ?, ?, ?, ?)",
                insert -> {
                  key(insert, 1, topic, partition, row);
                  insert.setLong(6, row.relayEpoch());
                  insert.setLong(7, row.n());
                });
    // another transaction of the same consumer had it first
    return isFirst ? new Verdict(Kind.NEXT, 0) : take(connection, topic, partition, row);
  }

  private Verdict after(
      Connection connection, String topic, int partition, RowSource row, long epoch, long n)
      throws SQLException {
    if (row.relayEpoch() < epoch || (row.relayEpoch() == epoch && row.n() <= n)) {
      return new Verdict(Kind.REPEAT, 0);
    }
    try (PreparedStatement update =
        connection.prepareStatement("UPDATE lockstep_inbox_sequence SET epoch = ?, n = ?" + KEY)) {
      update.setLong(1, row.relayEpoch());
      update.setLong(2, row.n());
      key(update, 3, topic, partition, row);
      update.executeUpdate();
    }
    long missing = row.n() - 1 - (row.relayEpoch() == epoch ? n : 0);
    return new Verdict(missing == 0 ? Kind.NEXT : Kind.GAP, missing);
  }

  private void key(
      PreparedStatement statement, int first, String topic, int partition, RowSource row)
      throws SQLException {
    statement.setString(first, consumer);
    statement.setString(first + 1, topic);
    statement.setInt(first + 2, partition);
    statement.setString(first + 3, row.source().toString());
    statement.setInt(first + 4, row.shard());
  }
}
