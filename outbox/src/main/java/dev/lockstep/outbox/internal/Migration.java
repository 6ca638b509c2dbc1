package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.OutboxException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Objects;
import javax.sql.DataSource;

/** Runs the migration of the jar, once; several starts at a time wait for each other. */
public final class Migration {

  private static final String FILE = "/dev/lockstep/outbox/migration/V1__lockstep_outbox.sql";
  private static final long LOCK = 0x6c6f636b73746570L; // "lockstep"

  private Migration() {}

  public static void run(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
      if (!exists(statement)) {
        statement.execute(script());
      }
      connection.commit();
      connection.setAutoCommit(true);
    } catch (SQLException e) {
      throw new OutboxException("Outbox tables could not be created: " + e.getMessage(), e);
    }
  }

  private static boolean exists(Statement statement) throws SQLException {
    try (ResultSet row = statement.executeQuery("SELECT to_regclass('lockstep_outbox')")) {
      return row.next() && row.getString(1) != null;
    }
  }

  private static String script() {
    try (InputStream in = Migration.class.getResourceAsStream(FILE)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new OutboxException("Migration " + FILE + " is missing in the jar", e);
    }
  }
}
