package dev.lockstep.outbox.internal.sql;

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
 * Runs the scripts of the jar that a database lacks. On PostgreSQL in one transaction, and several
 * starts at a time wait for each other; elsewhere each statement can be run again. A later script
 * sets {@code schema_version} itself, so whoever runs them leaves the same mark.
 */
public final class Migration {

  private static final String FOLDER = "/dev/lockstep/outbox/migration/";
  private static final List<String> SCRIPTS = List.of("V1__lockstep_outbox.sql");
  private static final long LOCK = 0x6c6f636b73746570L; // "lockstep"

  private Migration() {}

  public static void run(DataSource dataSource) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      connection.setAutoCommit(false);
      Dialect dialect = Dialect.of(connection);
      try {
        if (dialect.hasSnapshots()) {
          statement.execute("SELECT pg_advisory_xact_lock(" + LOCK + ")");
        }
        for (int version = version(statement, dialect); version < SCRIPTS.size(); version++) {
          run(statement, dialect, SCRIPTS.get(version));
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

  private static void run(Statement statement, Dialect dialect, String name) throws SQLException {
    String script = script(dialect.folder() + "/" + name);
    if (dialect.hasSnapshots()) {
      statement.execute(script);
      return;
    }
    // no transaction holds DDL together there: each statement can be run again
    for (String one : script.split(";\\s*\\n", -1)) {
      if (!one.isBlank()) {
        statement.execute(one);
      }
    }
  }

  private static int version(Statement statement, Dialect dialect) throws SQLException {
    try (ResultSet present = statement.executeQuery(dialect.countMeta())) {
      present.next();
      if (present.getInt(1) == 0) {
        return 0;
      }
    }
    try (ResultSet row =
        statement.executeQuery("SELECT schema_version FROM lockstep_outbox_meta")) {
      return row.next() ? row.getInt(1) : 0;
    }
  }

  private static String script(String path) {
    try (InputStream in = Migration.class.getResourceAsStream(FOLDER + path)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new OutboxException("Migration " + path + " is missing in the jar", e);
    }
  }
}
