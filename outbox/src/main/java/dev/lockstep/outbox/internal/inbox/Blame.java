package dev.lockstep.outbox.internal.inbox;

import dev.lockstep.outbox.InboxHandler;
import dev.lockstep.outbox.OutboxTransaction;
import java.sql.SQLException;
import java.sql.SQLRecoverableException;
import java.sql.SQLTransientException;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Tells what a message is to blame for from what the database is. */
final class Blame {

  /** The message is to blame, not the database. */
  static final class RefusedMessageException extends SQLException {
    private static final long serialVersionUID = 1L;

    RefusedMessageException(Throwable cause) {
      super(cause);
    }
  }

  private Blame() {}

  /**
   * Calls a handler.
   *
   * @throws RefusedMessageException whatever it throws
   */
  static void call(
      InboxHandler handler, OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record)
      throws RefusedMessageException {
    try {
      handler.handle(tx, record);
    } catch (Exception | StackOverflowError | LinkageError | AssertionError e) {
      throw new RefusedMessageException(e);
    }
  }

  /** Servers that are away, locks and deadlocks: all come again, nobody is to blame. */
  static void throwIfAway(SQLException e) throws SQLException {
    String state = e.getSQLState();
    boolean isAway =
        state != null
            && (state.startsWith("08")
                || state.startsWith("40")
                || state.startsWith("53")
                || state.startsWith("55")
                || state.startsWith("57"));
    if (!(e instanceof RefusedMessageException)
        && (isAway || e instanceof SQLTransientException || e instanceof SQLRecoverableException)) {
      throw e;
    }
  }
}
