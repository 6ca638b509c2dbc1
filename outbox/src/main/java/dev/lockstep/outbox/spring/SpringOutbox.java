package dev.lockstep.outbox.spring;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.springframework.jdbc.datasource.ConnectionHolder;
import org.springframework.jdbc.datasource.TransactionAwareDataSourceProxy;
import org.springframework.transaction.ConfigurableTransactionManager;
import org.springframework.transaction.PlatformTransactionManager;
import org.springframework.transaction.TransactionExecution;
import org.springframework.transaction.TransactionExecutionListener;
import org.springframework.transaction.support.TransactionSynchronizationManager;

/**
 * Publishes inside transactions of Spring: {@code @Transactional} or {@code TransactionTemplate}
 * with a {@code DataSourceTransactionManager} or a {@code JpaTransactionManager}. Thread-safe; one
 * per outbox and transaction manager, made before its first transaction.
 *
 * <p>Guarantee: what a transaction publishes is stored by one statement just before its commit,
 * behind all callbacks before the commit and behind the flush of the persistence context, so also
 * listeners of entities may publish. When it cannot be stored, the commit fails and the transaction
 * is rolled back. {@code REQUIRES_NEW} publishes with the inner transaction; a nested transaction
 * or a savepoint that is rolled back drops what was published behind it. Savepoints that are set on
 * the JDBC connection itself are not seen.
 *
 * <p>For this the persistence context is flushed before the commit of each transaction that is not
 * read-only, a moment before the commit would do it, even under Hibernate's flush mode {@code
 * MANUAL}.
 */
public final class SpringOutbox {

  private final Outbox outbox;
  private final DataSource dataSource;

  /**
   * Publishes in the transactions that a transaction manager begins from now on.
   *
   * @param outbox made with the data source of the transaction manager, the same object
   * @param transactionManager of JDBC or JPA; for JTA see {@code JtaOutbox}
   * @throws OutboxException when the transaction manager takes no listeners
   */
  public SpringOutbox(Outbox outbox, PlatformTransactionManager transactionManager) {
    if (!(transactionManager instanceof ConfigurableTransactionManager configurable)) {
      throw new OutboxException(
          "SpringOutbox cannot follow the transactions of %s: it is no ConfigurableTransactionManager; give a DataSourceTransactionManager or a JpaTransactionManager"
              .formatted(transactionManager.getClass().getName()));
    }
    this.outbox = outbox;
    this.dataSource = asBound(outbox.dataSource());
    configurable.addListener(new Listener());
  }

  /**
   * Publishes with the transaction of this thread.
   *
   * @param message kept until the commit; at most the topic's {@code max_bytes}
   * @throws OutboxException when there is no transaction of this transaction manager, it is
   *     read-only or already stored its messages, the topic is not registered, or the message is
   *     too large
   */
  public void publish(OutboxMessage message) {
    if (TransactionSynchronizationManager.getResource(this) instanceof SpringTransaction current) {
      current.publish(message);
      return;
    }
    throw new OutboxException(
        TransactionSynchronizationManager.isActualTransactionActive()
            ? "Message %s to '%s' could not be published: the transaction '%s' holds no connection of the outbox's data source, or is over; publish in one of the transaction manager that SpringOutbox was made with, over the same DataSource object (JTA: JtaOutbox)"
                .formatted(
                    message.id(),
                    message.topic(),
                    TransactionSynchronizationManager.getCurrentTransactionName())
            : "Message %s to '%s' was published outside a transaction; publish inside @Transactional or TransactionTemplate"
                .formatted(message.id(), message.topic()));
  }

  /** A transaction manager binds the data source behind such a proxy. */
  private static DataSource asBound(DataSource dataSource) {
    DataSource behind =
        dataSource instanceof TransactionAwareDataSourceProxy proxy
            ? proxy.getTargetDataSource()
            : null;
    return behind == null ? dataSource : behind;
  }

  /**
   * Callbacks of synchronizations are too early: {@code beforeCommit} comes before the flush of
   * JPA, is not called for who registers in another's, and what {@code beforeCompletion} throws is
   * swallowed. This listener is called directly before the commit, and its failure rolls back.
   */
  private final class Listener implements TransactionExecutionListener {

    @Override
    public void afterBegin(TransactionExecution execution, @Nullable Throwable failure) {
      // a connection that is bound this early was bound by the transaction manager, which commits
      // it; one that is fetched later may belong to nobody
      if (failure == null
          && execution.isNewTransaction()
          && TransactionSynchronizationManager.isSynchronizationActive()
          && !TransactionSynchronizationManager.hasResource(SpringOutbox.this)
          && TransactionSynchronizationManager.getResource(dataSource)
              instanceof ConnectionHolder connection) {
        new SpringTransaction(SpringOutbox.this, outbox.buffer(), connection, execution).begin();
      }
    }

    @Override
    public void beforeCommit(TransactionExecution execution) {
      if (TransactionSynchronizationManager.getResource(SpringOutbox.this)
          instanceof SpringTransaction current) {
        current.store(execution);
      }
    }
  }
}
