package dev.lockstep.testkit.postgres;

import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Map;
import java.util.regex.Pattern;
import javax.sql.DataSource;

/**
 * A PostgreSQL server in its own processes on loopback, from binaries that Maven brings; works as
 * root. Thread-safe.
 */
public final class PostgresServer implements AutoCloseable {

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_]{0,40}");

  private final EmbeddedPostgres postgres;

  private PostgresServer(EmbeddedPostgres postgres) {
    this.postgres = postgres;
  }

  /**
   * Starts a server on a free port.
   *
   * @param directory where data goes; its owner removes it
   * @return the running server
   * @throws UncheckedIOException when it cannot be started: no space, or no binaries for this
   *     system
   */
  public static PostgresServer start(Path directory) {
    return start(directory, Map.of());
  }

  /**
   * Starts a server on a free port with further settings.
   *
   * @param directory where data goes; its owner removes it
   * @param settings of postgresql.conf; they win
   * @return the running server
   * @throws UncheckedIOException when it cannot be started
   */
  public static PostgresServer start(Path directory, Map<String, String> settings) {
    try {
      EmbeddedPostgres.Builder builder =
          EmbeddedPostgres.builder()
              .setDataDirectory(directory.toFile())
              .setCleanDataDirectory(false)
              .setOverrideWorkingDirectory(directory.resolveSibling("pg-binaries").toFile())
              .setServerConfig("max_connections", "200")
              .setServerConfig("max_prepared_transactions", "20")
              .setServerConfig("shared_buffers", "64MB");
      settings.forEach(builder::setServerConfig);
      return new PostgresServer(builder.start());
    } catch (IOException e) {
      throw new UncheckedIOException(
          "PostgreSQL could not be started in %s: %s".formatted(directory, e.getMessage()), e);
    }
  }

  /**
   * Creates an empty database.
   *
   * @param name lower case letters, digits and underscores, at most 41 of them
   * @return JDBC address of the new database, user included
   * @throws IllegalArgumentException when the name has other characters
   */
  public String createDatabase(String name) {
    if (!NAME.matcher(name).matches()) {
      throw new IllegalArgumentException(
          "Database name '%s' does not match %s".formatted(name, NAME.pattern()));
    }
    try (Connection connection = postgres.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE DATABASE " + name);
    } catch (SQLException e) {
      throw new IllegalStateException("Database '" + name + "' could not be created", e);
    }
    return url(name);
  }

  /**
   * Returns the JDBC address of a database.
   *
   * @param name an existing database
   * @return address with user
   */
  public String url(String name) {
    return postgres.getJdbcUrl("postgres", name);
  }

  /**
   * Returns an unpooled data source for a database.
   *
   * @param name an existing database
   * @return data source; each connection is a new one
   */
  public DataSource dataSource(String name) {
    return postgres.getDatabase("postgres", name);
  }

  /** Ends the server; its data stay. */
  @Override
  public void close() {
    try {
      postgres.close();
    } catch (IOException e) {
      throw new UncheckedIOException("PostgreSQL could not be stopped", e);
    }
  }
}
