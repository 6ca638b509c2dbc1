package dev.lockstep.outbox;

import java.sql.Connection;

/**
 * An open database transaction that can publish. Valid inside {@link Outbox#inTransaction} only;
 * for one thread.
 */
public interface OutboxTransaction {

  /**
   * Returns the connection of the transaction, for business statements.
   *
   * @return connection that must not be committed, rolled back or closed: {@code inTransaction}
   *     does. Savepoints may be used; what was published behind one is dropped with it
   */
  Connection connection();

  /**
   * Publishes when the transaction commits; never when it rolls back. Waits for no broker: messages
   * are kept in memory and inserted together, in one statement, just before the commit.
   *
   * @param message the message; at most the topic's {@code max_bytes}
   * @throws OutboxException when the topic is not registered or the message is too large; the
   *     caller decides whether the transaction goes on
   */
  void publish(OutboxMessage message);
}
