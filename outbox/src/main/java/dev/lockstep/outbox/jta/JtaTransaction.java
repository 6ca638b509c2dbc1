package dev.lockstep.outbox.jta;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxBuffer;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import jakarta.transaction.Status;
import jakarta.transaction.Synchronization;
import jakarta.transaction.TransactionSynchronizationRegistry;
import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a transaction has published. Connections are borrowed for each call: application servers
 * close what a component leaves open, and some pools take a second branch beside an open one.
 */
final class JtaTransaction implements Synchronization {

  private static final Logger LOG = LoggerFactory.getLogger(JtaTransaction.class);

  private final DataSource dataSource;
  private final OutboxBuffer buffer;
  private final TransactionSynchronizationRegistry registry;
  private boolean stored;

  JtaTransaction(Outbox outbox, TransactionSynchronizationRegistry registry) {
    this.dataSource = outbox.dataSource();
    this.buffer = outbox.buffer();
    this.registry = registry;
  }

  void publish(OutboxMessage message) {
    try (Connection connection = dataSource.getConnection()) {
      buffer.publish(connection, message);
      if (stored) {
        buffer.flush(connection);
      }
    } catch (SQLException e) {
      registry.setRollbackOnly();
      throw new OutboxException(
          "Message %s to '%s' could not be published, its transaction is rolled back: %s"
              .formatted(message.id(), message.topic(), e.getMessage()),
          e);
    }
  }

  /** Goes to the end of the queue, once. */
  @Override
  public void beforeCompletion() {
    Synchronization last = new Last();
    try {
      registry.registerInterposedSynchronization(last);
    } catch (IllegalStateException e) {
      LOG.debug("The transaction manager takes no synchronization any more", e);
      last.beforeCompletion();
    }
  }

  @Override
  public void afterCompletion(int status) {
    if (status != Status.STATUS_COMMITTED) {
      return;
    }
    if (!buffer.isEmpty()) {
      LOG.error(
          "A committed transaction has published messages that are not stored: its transaction manager took a synchronization during beforeCompletion and did not call it; use another, or Outbox.publish with a connection of the transaction");
    }
    buffer.committed();
  }

  private void store() {
    if (registry.getRollbackOnly()) {
      return;
    }
    try (Connection connection = dataSource.getConnection()) {
      buffer.flush(connection);
      stored = true;
    } catch (SQLException e) {
      registry.setRollbackOnly();
      throw new OutboxException(
          "Messages of a transaction could not be stored, it is rolled back: " + e.getMessage(), e);
    }
  }

  private final class Last implements Synchronization {

    @Override
    public void beforeCompletion() {
      store();
    }

    @Override
    public void afterCompletion(int status) {}
  }
}
