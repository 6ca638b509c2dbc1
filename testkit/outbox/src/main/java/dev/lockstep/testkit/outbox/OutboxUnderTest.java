package dev.lockstep.testkit.outbox;

import java.sql.Connection;
import java.sql.SQLException;

/** How messages get into the outbox that is tested. Implementations are thread-safe. */
public interface OutboxUnderTest {

  /** Business code in a transaction. */
  @FunctionalInterface
  interface Work {

    /**
     * Works inside the transaction.
     *
     * @param connection for business statements
     * @param publisher publishes with the transaction
     * @throws SQLException from the database, or to roll back
     */
    void run(Connection connection, Publisher publisher) throws SQLException;
  }

  /** Publishes with a transaction. */
  @FunctionalInterface
  interface Publisher {

    /**
     * Publishes when the transaction commits.
     *
     * @param key messages of one key keep their order
     * @param value to be handed to {@link DeliveryCheck#delivered} as it is
     * @throws SQLException from the database
     */
    void publish(String key, String value) throws SQLException;
  }

  /**
   * Runs work in a transaction of its own: commits when it returns, rolls back when it throws.
   *
   * @param work business code
   * @throws SQLException what {@code work} threw, or from the database
   */
  void inTransaction(Work work) throws SQLException;

  /**
   * Publishes on a connection whose transaction the caller ends, by PREPARE TRANSACTION for
   * instance.
   *
   * @param connection with an open transaction
   * @param key messages of one key keep their order
   * @param value as above
   * @throws SQLException from the database
   * @throws UnsupportedOperationException when the outbox cannot do that; prepared transactions are
   *     left out then
   */
  default void publish(Connection connection, String key, String value) throws SQLException {
    throw new UnsupportedOperationException("This outbox publishes in its own transactions only");
  }
}
