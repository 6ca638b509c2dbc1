package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.KeyOrder;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.function.ToIntFunction;

/** Inserts messages as rows, with the open transaction of a connection. */
interface MessageRows {

  /**
   * Makes rows for the database of a connection.
   *
   * @param lanes code of the lane of a topic
   */
  static MessageRows of(Connection connection, KeyOrder order, ToIntFunction<String> lanes)
      throws SQLException {
    Dialect dialect = Dialect.of(connection);
    return dialect.hasSnapshots()
        ? new PostgresRows(connection, order, lanes)
        : new PortableRows(connection, dialect, order, lanes);
  }

  /** Inserts them in their order: so they are published. */
  void insert(List<OutboxMessage> messages) throws SQLException;
}
