package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.OutboxException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Objects;
import javax.sql.DataSource;

/**
 * Runs the scripts of the jar that a database lacks, in one transaction; several starts at a time
 * wait for each other. A later script sets {@code schema_version} itself, so whoever runs them
 * leaves the same mark.
 */
public final class Migration {

  private static final String FOLDER = "/dev/lockstep/outbox/migration/postgresql/";
  private static final List<String> SCRIPTS = List.of("V1__lockstep_outbox.sql");
  private static final long LOCK = 0x6c6f636b73746570L; // "lockstep"

  private Migration() {}

  public static void run(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      try {
        statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
        for (int version = version(statement); version < SCRIPTS.size(); version++) {
          statement.execute(script(SCRIPTS.get(version)));
        }
        connection.commit();
      } catch (SQLException e) {
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(true);
      }
    } catch (SQLException e) {
      throw new OutboxException("Outbox tables could not be created: " + e.getMessage(), e);
    }
  }

  private static int version(Statement statement) throws SQLException {
    try (ResultSet row = statement.executeQuery("SELECT to_regclass('lockstep_outbox_meta')")) {
      if (!row.next() || row.getString(1) == null) {
        return 0;
      }
    }
    try (ResultSet row =
        statement.executeQuery("SELECT schema_version FROM lockstep_outbox_meta")) {
      return row.next() ? row.getInt(1) : 0;
    }
  }

  private static String script(String name) {
    try (InputStream in = Migration.class.getResourceAsStream(FOLDER + name)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new OutboxException("Migration " + name + " is missing in the jar", e);
    }
  }
}
