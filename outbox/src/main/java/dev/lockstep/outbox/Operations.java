package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.schema.OperatorOrders;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Clock;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/** What operators do, each in one transaction with a row of {@code lockstep_outbox_operation}. */
final class Operations {

  /** What one of them changes. */
  interface Operation {

    /**
     * Changes it.
     *
     * @return what was done, for people; null: there was nothing to do, and nothing is written
     */
    @Nullable String on(Connection connection) throws SQLException;
  }

  private final DataSource dataSource;
  private final Clock clock = Clock.systemUTC();

  Operations(DataSource dataSource) {
    this.dataSource = dataSource;
  }

  /** Returns false when there was nothing to do. */
  boolean run(String principal, String reason, Operation operation) throws SQLException {
    var order = OperatorOrders.of(principal, reason, clock);
    try (Connection connection = dataSource.getConnection()) {
      connection.setAutoCommit(false);
      try (PreparedStatement audit =
          connection.prepareStatement(
              "INSERT INTO lockstep_outbox_operation (principal, reason, operation)"
                  + " VALUES (?, ?, ?)")) {
        Dialect.of(connection).limitLockWaits(connection);
        String done = operation.on(connection);
        if (done != null) {
          audit.setString(1, order.getPrincipal());
          audit.setString(2, order.getReason());
          audit.setString(3, done);
          audit.executeUpdate();
        }
        connection.commit();
        return done != null;
      } catch (SQLException | RuntimeException e) {
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(true);
      }
    }
  }
}
