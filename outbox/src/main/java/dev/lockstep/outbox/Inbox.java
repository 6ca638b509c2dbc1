package dev.lockstep.outbox;

import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;

/**
 * Takes each message once, inside the handler's own transaction, by its id. For topics of the
 * express lane and for foreign ones. Thread-safe.
 *
 * <p>Shape: table {@code lockstep_inbox} (consumer, message_id, message_at).
 */
public final class Inbox {

  private final String consumer;

  /**
   * Names a consumer.
   *
   * @param consumer who takes messages; two consumers take the same message once each
   */
  public Inbox(String consumer) {
    this.consumer = consumer;
  }

  /**
   * Remembers a message.
   *
   * @param connection the handler's open transaction
   * @param messageId identity of the message, such as the header {@code ce_id}
   * @param messageAt time of the message; decides how long it is remembered
   * @return true when it is new; false: a repeat, do nothing. A repeat that is being handled
   *     elsewhere right now waits for that transaction
   * @throws SQLException from the database; roll back and let the message come again
   */
  public boolean isFirst(Connection connection, String messageId, Instant messageAt)
      throws SQLException {
    try (PreparedStatement insert =
        connection.prepareStatement(
            "INSERT INTO lockstep_inbox (consumer, message_id, message_at) VALUES (?, ?, ?)"
                + " ON CONFLICT DO NOTHING")) {
      insert.setString(1, consumer);
      insert.setString(2, messageId);
      insert.setTimestamp(3, Timestamp.from(messageAt));
      return insert.executeUpdate() == 1;
    }
  }
}
