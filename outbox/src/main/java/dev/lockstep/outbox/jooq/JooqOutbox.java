package dev.lockstep.outbox.jooq;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import java.util.Arrays;
import org.jooq.Configuration;
import org.jooq.TransactionContext;
import org.jooq.TransactionListener;
import org.jooq.TransactionListenerProvider;
import org.jooq.impl.ThreadLocalTransactionProvider;

/**
 * Publishes inside transactions of jOOQ: {@code ctx.transaction(configuration -> ..)}. Thread-safe;
 * one per outbox.
 *
 * <p>Guarantee: what a transaction publishes is stored by one statement just before its commit;
 * when it cannot be stored, the transaction is rolled back. A nested transaction that is rolled
 * back drops what was published in it, as it drops its rows. Savepoints that are set by SQL or on
 * the JDBC connection itself are not seen.
 */
public final class JooqOutbox {

  private final Outbox outbox;
  private final TransactionListenerProvider listener = Listener::new;

  /**
   * Publishes in transactions of jOOQ on the database of an outbox.
   *
   * @param outbox knows the topics
   */
  public JooqOutbox(Outbox outbox) {
    this.outbox = outbox;
  }

  /**
   * Returns a configuration whose transactions can publish.
   *
   * @param configuration any but one that binds transactions to threads
   * @return derived configuration, or the same one if it can already
   * @throws OutboxException when it has a {@code ThreadLocalTransactionProvider}, which does not
   *     hand its configuration on
   */
  public Configuration publishing(Configuration configuration) {
    if (configuration.transactionProvider() instanceof ThreadLocalTransactionProvider) {
      throw new OutboxException(
          "JooqOutbox cannot follow transactions of a ThreadLocalTransactionProvider; use the DefaultTransactionProvider and ctx.transaction(configuration -> ..)");
    }
    return Arrays.asList(configuration.transactionListenerProviders()).contains(listener)
        ? configuration
        : configuration.deriveAppending(listener);
  }

  /**
   * Publishes with an open transaction.
   *
   * @param configuration handed in by {@code ctx.transaction}, where {@code ctx} uses a
   *     configuration of {@link #publishing}; of a {@code DSLContext}: its {@code configuration()}
   * @param message kept until the commit; at most the topic's {@code max_bytes}
   * @throws OutboxException when there is no such transaction, it is being committed or is over,
   *     the topic is not registered, or the message is too large
   */
  public void publish(Configuration configuration, OutboxMessage message) {
    if (!(configuration.data(this) instanceof JooqTransaction.Level level)) {
      throw new OutboxException(
          "Message %s to '%s' was published outside a transaction of jOOQ that can publish; give the configuration that ctx.transaction hands in, with ctx made from JooqOutbox.publishing(..)"
              .formatted(message.id(), message.topic()));
    }
    level.transaction().publish(configuration, message);
  }

  /** Each transaction works on a copy of the data of the configuration that it began with. */
  private final class Listener implements TransactionListener {

    @Override
    public void beginEnd(TransactionContext context) {
      Configuration configuration = context.configuration();
      JooqTransaction.Level level =
          configuration.data(JooqOutbox.this) instanceof JooqTransaction.Level outer
              ? outer.nested()
              : new JooqTransaction(outbox.buffer()).top();
      configuration.data(JooqOutbox.this, level);
    }

    @Override
    public void commitStart(TransactionContext context) {
      level(context).store(context.configuration());
    }

    @Override
    public void commitEnd(TransactionContext context) {
      level(context).committed();
    }

    @Override
    public void rollbackStart(TransactionContext context) {
      level(context).rolledBack(context.configuration());
    }

    private JooqTransaction.Level level(TransactionContext context) {
      return (JooqTransaction.Level) context.configuration().data(JooqOutbox.this);
    }
  }
}
