package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.write.MessageBuffer;
import java.sql.Connection;
import java.sql.SQLException;

/**
 * Messages of an open transaction that a transaction manager ends: what integrations are built on.
 * Applications use {@link Outbox#inTransaction}, {@link Outbox#publishing} or an integration.
 *
 * <p>The integration calls {@link #flush} just before the commit, when nothing else will be written
 * (after the flush of a persistence context), then {@link #committed} behind it, or {@link #clear}
 * after a rollback. Each call may bring another connection, as long as it takes part in the
 * transaction. For one thread.
 */
public final class OutboxBuffer {

  private final MessageBuffer messages;
  private final Runnable wake;
  private boolean stored;

  OutboxBuffer(MessageBuffer messages, Runnable wake) {
    this.messages = messages;
    this.wake = wake;
  }

  /**
   * Keeps a message until {@link #flush}.
   *
   * @param connection takes part in the transaction; only used to look at registered topics
   * @param message the message; at most the topic's {@code max_bytes}
   * @throws SQLException from the database
   * @throws OutboxException when the connection commits each statement by itself, the topic is not
   *     registered, or the message is too large; it is not kept
   */
  public void publish(Connection connection, OutboxMessage message) throws SQLException {
    Outbox.requireTransaction(connection, message);
    messages.add(connection, message);
  }

  /**
   * Stores what is kept, in one round trip. May be called again: what was published meanwhile
   * follows.
   *
   * @param connection takes part in the transaction; untouched when nothing is kept
   * @throws SQLException from the database: the transaction must be rolled back
   */
  public void flush(Connection connection) throws SQLException {
    stored |= messages.flush(connection);
  }

  /**
   * Tells whether a flush would store nothing.
   *
   * @return true when nothing is kept
   */
  public boolean isEmpty() {
    return messages.isEmpty();
  }

  /**
   * A savepoint was set.
   *
   * @param savepoint whatever the transaction manager names it by; compared by identity
   */
  public void mark(Object savepoint) {
    messages.mark(savepoint);
  }

  /**
   * The transaction went back to a savepoint: what was published behind it is dropped.
   *
   * @param savepoint given to {@link #mark}; others are passed over
   */
  public void rollbackTo(Object savepoint) {
    messages.rollbackTo(savepoint);
  }

  /** The transaction is committed: relays of this JVM are woken if it published. */
  public void committed() {
    if (stored) {
      stored = false;
      wake.run();
    }
  }

  /** The transaction was rolled back, or ended without a commit: what is kept is dropped. */
  public void clear() {
    messages.clear();
    stored = false;
  }
}
