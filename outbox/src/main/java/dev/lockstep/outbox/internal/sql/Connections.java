package dev.lockstep.outbox.internal.sql;

import java.sql.Connection;
import java.sql.SQLException;
import javax.sql.DataSource;

/** Connections for statements of the outbox itself. */
public final class Connections {

  private Connections() {}

  /** Returns one that commits each statement: some pools give out others. */
  public static Connection committing(DataSource dataSource) throws SQLException {
    Connection connection = dataSource.getConnection();
    try {
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
    return connection;
  }
}
