package dev.lockstep.benchmark.outbox;

import dev.lockstep.testkit.postgres.PostgresServer;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;

/** Transactions that wrote something and stay open. */
final class OpenTransactions implements AutoCloseable {

  private final List<Connection> open = new ArrayList<>();

  /**
   * Begins one in each database.
   *
   * @param databases names; none: nothing is held open
   */
  static OpenTransactions in(PostgresServer postgres, List<String> databases) throws SQLException {
    OpenTransactions transactions = new OpenTransactions();
    for (String database : databases) {
      Connection connection = postgres.dataSource(database).getConnection();
      transactions.open.add(connection);
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.execute("SELECT pg_current_xact_id()");
      }
    }
    return transactions;
  }

  @Override
  public void close() throws SQLException {
    for (Connection connection : open) {
      connection.rollback();
      connection.close();
    }
  }
}
