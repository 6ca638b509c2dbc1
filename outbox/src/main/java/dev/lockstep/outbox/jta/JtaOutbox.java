package dev.lockstep.outbox.jta;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import jakarta.transaction.Status;
import jakarta.transaction.TransactionSynchronizationRegistry;

/**
 * Publishes inside JTA transactions. Thread-safe; one per outbox.
 *
 * <p>Guarantee: what a transaction publishes is stored by one statement before it is prepared. When
 * it cannot be stored, the transaction is rolled back. Messages are stored by an interposed
 * synchronization: those run behind the ordinary ones, in which a persistence context is flushed.
 * As persistence contexts may use interposed ones too, it lets all pass that are registered when
 * its turn comes. What is published in a synchronization behind that is stored at once.
 *
 * <p>A publisher may go on in a transaction that is marked for rollback, as with other writes:
 * nothing of it will be published, so nothing is looked at.
 */
public final class JtaOutbox {

  private final Outbox outbox;
  private final TransactionSynchronizationRegistry registry;

  /**
   * Publishes in the transactions of a transaction manager.
   *
   * @param outbox made with a data source whose connections take part in JTA transactions: one of
   *     the application server, or a pool with an XA data source of PostgreSQL. Others are refused
   *     when they are in auto-commit mode; those of a plain pool without it cannot be told apart,
   *     and it would roll the messages back
   * @param registry of the transaction manager
   */
  public JtaOutbox(Outbox outbox, TransactionSynchronizationRegistry registry) {
    this.outbox = outbox;
    this.registry = registry;
  }

  /**
   * Publishes with the transaction of this thread.
   *
   * @param message kept until the commit; at most the topic's {@code max_bytes}
   * @throws OutboxException when there is no transaction that is active, its connections commit
   *     each statement by themselves, the topic is not registered, or the message is too large
   */
  public void publish(OutboxMessage message) {
    int status = registry.getTransactionStatus();
    if (status == Status.STATUS_MARKED_ROLLBACK) {
      return;
    }
    if (status != Status.STATUS_ACTIVE) {
      throw new OutboxException(
          "Message %s to '%s' was published outside a transaction: JTA status %d is observed, %d (active) is required; begin a transaction (@Transactional, UserTransaction.begin)"
              .formatted(message.id(), message.topic(), status, Status.STATUS_ACTIVE));
    }
    current().publish(message);
  }

  private JtaTransaction current() {
    if (registry.getResource(this) instanceof JtaTransaction known) {
      return known;
    }
    JtaTransaction made = new JtaTransaction(outbox, registry);
    registry.registerInterposedSynchronization(made);
    registry.putResource(this, made);
    return made;
  }
}
