package dev.lockstep.outbox.spring;

import dev.lockstep.outbox.OutboxBuffer;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import java.sql.SQLException;
import org.springframework.core.Ordered;
import org.springframework.jdbc.datasource.ConnectionHolder;
import org.springframework.transaction.TransactionException;
import org.springframework.transaction.TransactionExecution;
import org.springframework.transaction.TransactionStatus;
import org.springframework.transaction.support.TransactionSynchronization;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/** What a transaction has published; bound to its thread except while it is suspended. */
final class SpringTransaction implements TransactionSynchronization {

  private final Object key;
  private final OutboxBuffer buffer;
  private final ConnectionHolder connection;
  private final TransactionExecution own;
  private boolean stored;

  SpringTransaction(
      Object key, OutboxBuffer buffer, ConnectionHolder connection, TransactionExecution own) {
    this.key = key;
    this.buffer = buffer;
    this.connection = connection;
    this.own = own;
  }

  void begin() {
    resume();
    TransactionSynchronizationManager.registerSynchronization(this);
  }

  void publish(OutboxMessage message) {
    if (own.isReadOnly()) {
      throw new OutboxException(
          "Message %s to '%s' could not be published: the transaction '%s' is read-only and publishing writes; leave readOnly out"
              .formatted(message.id(), message.topic(), own.getTransactionName()));
    }
    if (stored) {
      // no callback is left that could store it
      throw new OutboxException(
          "Message %s to '%s' could not be published: the transaction '%s' is being committed or is over; publish before, or in a transaction of its own (REQUIRES_NEW)"
              .formatted(message.id(), message.topic(), own.getTransactionName()));
    }
    try {
      buffer.publish(connection.getConnection(), message);
    } catch (SQLException e) {
      throw new OutboxException(
          "Message %s to '%s' could not be published in the transaction '%s': %s"
              .formatted(message.id(), message.topic(), own.getTransactionName(), e.getMessage()),
          e);
    }
  }

  /** Nested transactions, which end at a savepoint, store nothing. */
  void store(TransactionExecution ending) {
    if (ending != own || own.isReadOnly()) {
      return;
    }
    try {
      if (own instanceof TransactionStatus status) {
        // rows of a key must draw their numbers when the entity's row is locked
        status.flush();
      }
      buffer.flush(connection.getConnection());
      stored = true;
    } catch (SQLException | TransactionException e) {
      // as a TransactionException it would pass for the outcome of a commit: nothing would be
      // rolled back
      throw new OutboxException(
          "Messages of the transaction '%s' could not be stored, it is rolled back: %s"
              .formatted(own.getTransactionName(), e.getMessage()),
          e);
    }
  }

  /** Before others, which may publish in transactions of their own and must not find this one. */
  @Override
  public int getOrder() {
    return Ordered.HIGHEST_PRECEDENCE;
  }

  @Override
  public void suspend() {
    TransactionSynchronizationManager.unbindResource(key);
  }

  @Override
  public void resume() {
    TransactionSynchronizationManager.bindResource(key, this);
  }

  @Override
  public void savepoint(Object savepoint) {
    buffer.mark(savepoint);
  }

  @Override
  public void savepointRollback(Object savepoint) {
    buffer.rollbackTo(savepoint);
  }

  @Override
  public void afterCommit() {
    buffer.committed();
  }

  @Override
  public void afterCompletion(int status) {
    suspend();
    buffer.clear();
  }
}
