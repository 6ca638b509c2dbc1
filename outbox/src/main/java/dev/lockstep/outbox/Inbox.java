package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.inbox.InboxSlots;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import javax.sql.DataSource;

/**
 * Takes each message once, inside the handler's own transaction, by its id. For topics of the
 * express lane and for foreign ones; {@link InboxConsumer} runs a whole consumer on it.
 * Thread-safe.
 *
 * <p>Shape: table {@code lockstep_inbox} (consumer, message_id, slot, message_at).
 *
 * <p>Guarantee: a message whose transaction committed is not new again for {@link #HORIZON} after
 * its own time; older ones are refused, since nobody knows any more. Topics must keep their records
 * for less than that.
 */
public final class Inbox {

  /** How long an id is remembered, by the time of its message. */
  public static final Duration HORIZON = Duration.ofDays(7);

  private static final int LONGEST_CONSUMER = 200;
  private static final int LONGEST_ID = 300;

  private final String consumer;
  private final Clock clock;

  /**
   * Names a consumer.
   *
   * @param consumer who takes messages, 1 to 200 characters; two consumers take the same message
   *     once each
   */
  public Inbox(String consumer) {
    this(consumer, Clock.systemUTC());
  }

  Inbox(String consumer, Clock clock) {
    this.consumer = requireConsumer(consumer);
    this.clock = clock;
  }

  static String requireConsumer(String consumer) {
    if (consumer.isEmpty() || consumer.length() > LONGEST_CONSUMER) {
      throw new IllegalArgumentException(
          "Name of a consumer must have 1 to %d characters, has %d"
              .formatted(LONGEST_CONSUMER, consumer.length()));
    }
    return consumer;
  }

  /**
   * Remembers a message.
   *
   * @param connection the handler's open transaction
   * @param messageId identity of the message, such as the header {@code ce_id}; 1 to 300 characters
   * @param messageAt the message's own time, the same each time it comes; decides how long it is
   *     remembered
   * @return true when it is new; false: a repeat, do nothing. A repeat that is being handled
   *     elsewhere right now waits for that transaction
   * @throws SQLException from the database; roll back and let the message come again
   * @throws OutboxException when the message is older than {@link #HORIZON}, or a day ahead
   */
  public boolean isFirst(Connection connection, String messageId, Instant messageAt)
      throws SQLException {
    if (messageId.isEmpty() || messageId.length() > LONGEST_ID) {
      throw new OutboxException(
          "Id of a message for '%s' must have 1 to %d characters, has %d"
              .formatted(consumer, LONGEST_ID, messageId.length()));
    }
    Instant now = clock.instant();
    if (messageAt.isBefore(now.minus(HORIZON)) || messageAt.isAfter(now.plus(Duration.ofDays(1)))) {
      throw new OutboxException(
          "Message %s for '%s' is of %s: whether it was taken is known from %s on; handle it by hand, and let its topic keep records for less"
              .formatted(messageId, consumer, messageAt, now.minus(HORIZON)));
    }
    Dialect dialect = Dialect.of(connection);
    return dialect.insertOnce(
        connection,
        "INSERT INTO lockstep_inbox (consumer, message_id, slot, message_at) VALUES (?, ?, ?, ?)",
        insert -> {
          insert.setString(1, consumer);
          insert.setString(2, messageId);
          insert.setInt(3, InboxSlots.of(messageAt));
          dialect.setTime(insert, 4, messageAt);
        });
  }

  /**
   * Forgets ids of all consumers that are older than {@link #HORIZON}. Call it once a day or more
   * often; several at a time do no harm.
   *
   * @param dataSource of the inbox; the user may delete from, on PostgreSQL truncate, the table
   * @throws SQLException from the database; what is left goes the next time
   */
  public static void forgetOld(DataSource dataSource) throws SQLException {
    InboxSlots.forgetOld(dataSource, Clock.systemUTC().instant());
  }
}
