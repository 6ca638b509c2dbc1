package dev.lockstep.outbox.jooq;

import dev.lockstep.outbox.OutboxBuffer;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.OutboxMessage;
import java.sql.Connection;
import java.sql.SQLException;
import org.jooq.Configuration;
import org.jooq.impl.DefaultTransactionProvider;

/** What a transaction has published, all levels of nesting together. */
final class JooqTransaction {

  /** One level of nesting; the innermost stands in the data of the configuration. */
  record Level(JooqTransaction transaction, boolean isTop) {

    Level nested() {
      Level level = new Level(transaction, false);
      transaction.buffer.mark(level);
      return level;
    }

    void store(Configuration configuration) {
      if (isTop) {
        transaction.store(configuration);
      }
    }

    /** Called also when the commit failed: then relays are woken for nothing. */
    void committed() {
      if (isTop) {
        transaction.buffer.committed();
      }
    }

    void rolledBack(Configuration configuration) {
      if (isTop) {
        transaction.over = true;
        transaction.buffer.clear();
      } else if (dropsRows(configuration)) {
        transaction.buffer.rollbackTo(this);
      }
    }

    /** Without savepoints the rows of a nested transaction stay, so its messages must. */
    private static boolean dropsRows(Configuration configuration) {
      return !(configuration.transactionProvider() instanceof DefaultTransactionProvider provider)
          || provider.nested();
    }
  }

  private final OutboxBuffer buffer;
  private boolean over;

  JooqTransaction(OutboxBuffer buffer) {
    this.buffer = buffer;
  }

  Level top() {
    return new Level(this, true);
  }

  void publish(Configuration configuration, OutboxMessage message) {
    if (over) {
      throw new OutboxException(
          "Message %s to '%s' could not be published: its transaction is being committed or is over; publish inside ctx.transaction"
              .formatted(message.id(), message.topic()));
    }
    try {
      call(configuration, connection -> buffer.publish(connection, message));
    } catch (SQLException e) {
      throw new OutboxException(
          "Message %s to '%s' could not be published: %s"
              .formatted(message.id(), message.topic(), e.getMessage()),
          e);
    }
  }

  /** What listeners behind this one published would be stored by nobody: they are refused. */
  private void store(Configuration configuration) {
    over = true;
    try {
      call(configuration, buffer::flush);
    } catch (SQLException e) {
      throw new OutboxException(
          "Messages of a transaction could not be stored, it is rolled back: " + e.getMessage(), e);
    }
  }

  @FunctionalInterface
  private interface Call {

    void with(Connection connection) throws SQLException;
  }

  private static void call(Configuration configuration, Call call) throws SQLException {
    Connection connection = configuration.connectionProvider().acquire();
    try {
      call.with(connection);
    } finally {
      configuration.connectionProvider().release(connection);
    }
  }
}
