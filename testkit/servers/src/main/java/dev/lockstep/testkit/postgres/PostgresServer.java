package dev.lockstep.testkit.postgres;

import dev.lockstep.testkit.process.Signals;
import io.zonky.test.db.postgres.embedded.EmbeddedPostgres;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Pattern;
import javax.sql.DataSource;

/**
 * A PostgreSQL server in its own processes on loopback, from binaries that Maven brings; works as
 * root. Thread-safe.
 */
public final class PostgresServer implements AutoCloseable {

  private static final Pattern NAME = Pattern.compile("[a-z][a-z0-9_]{0,40}");

  private static final long TIMEOUT_NANOS = TimeUnit.SECONDS.toNanos(30);
  private static final Duration START_TIMEOUT = Duration.ofSeconds(60);

  private final EmbeddedPostgres postgres;
  private final Path directory;
  private final Map<String, String> settings;
  private volatile boolean crashed;
  private volatile boolean frozen;

  private PostgresServer(EmbeddedPostgres postgres, Path directory, Map<String, String> settings) {
    this.postgres = postgres;
    this.directory = directory;
    this.settings = settings;
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
              .setPGStartupWait(START_TIMEOUT)
              .setOverrideWorkingDirectory(directory.resolveSibling("pg-binaries").toFile())
              .setServerConfig("max_connections", "200")
              .setServerConfig("max_prepared_transactions", "20")
              .setServerConfig("shared_buffers", "64MB");
      settings.forEach(builder::setServerConfig);
      return new PostgresServer(builder.start(), directory, settings);
    } catch (IOException e) {
      throw new UncheckedIOException(
          "PostgreSQL could not be started in %s: %s".formatted(directory, e.getMessage()), e);
    }
  }

  /**
   * Starts a standby of this server that follows it by streaming replication and takes reads. A
   * commit here does not wait for it; see {@link #commitOnStandby()}.
   *
   * @param standbyDirectory where its data go, beside this server's; must not exist
   * @return the running standby
   * @throws UncheckedIOException when it cannot be started
   */
  public PostgresServer standby(Path standbyDirectory) {
    try (Connection connection = postgres.getPostgresDatabase().getConnection()) {
      BaseBackup.take(connection, directory, standbyDirectory);
      Files.createFile(standbyDirectory.resolve("standby.signal"));
      Files.writeString(
          standbyDirectory.resolve("postgresql.auto.conf"),
          "primary_conninfo = 'host=127.0.0.1 port=%d user=postgres'%n"
              .formatted(postgres.getPort()),
          StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException("Standby in " + standbyDirectory + " could not be made", e);
    } catch (SQLException e) {
      throw new IllegalStateException("Standby in " + standbyDirectory + " could not be made", e);
    }
    return start(standbyDirectory, settings);
  }

  /**
   * From now on a commit here returns, and is seen by others, when a standby has written it down.
   *
   * @throws IllegalStateException when no standby is there within 30 s
   */
  public void commitOnStandby() {
    execute("ALTER SYSTEM SET synchronous_standby_names = '*'");
    execute("SELECT pg_reload_conf()");
    await("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", "a standby");
  }

  /**
   * Waits until a standby has written down all that was committed here before.
   *
   * @throws IllegalStateException when none has within 30 s
   */
  public void awaitStandby() {
    await(
        "SELECT count(*) FROM pg_stat_replication WHERE flush_lsn >= pg_current_wal_flush_lsn()",
        "a standby to catch up");
  }

  /**
   * This standby hears nothing of its primary any more, as when the network between them is cut;
   * what it was sent before it has.
   *
   * @throws IllegalStateException when it still does after 30 s
   */
  public void stopReceiving() {
    execute("ALTER SYSTEM SET primary_conninfo = ''");
    execute("SELECT pg_reload_conf()");
    await("SELECT 1 - count(*) FROM pg_stat_wal_receiver", "the end of replication");
  }

  /**
   * Makes this standby the primary: it takes writes, on a new timeline. The old primary is left
   * alone; crash it first.
   *
   * @throws IllegalStateException when it does not within 30 s
   */
  public void promote() {
    execute("SELECT pg_promote(true, 30)");
    await("SELECT CASE WHEN pg_is_in_recovery() THEN 0 ELSE 1 END", "the promotion");
  }

  /**
   * Ends all processes of the server at once with SIGKILL, as when its machine stops: nothing is
   * flushed and nobody is told. For good.
   */
  public void crash() {
    ProcessHandle postmaster = ProcessHandle.of(pid()).orElseThrow();
    // it must not see its children die: it would start others
    Signals.send(postmaster.pid(), "STOP");
    postmaster.descendants().forEach(ProcessHandle::destroyForcibly);
    postmaster.destroyForcibly();
    crashed = true;
  }

  /**
   * Stops all processes of the server where they are, as when its machine cannot be reached any
   * more: connections stay, and nobody answers. For good.
   */
  public void freeze() {
    ProcessHandle postmaster = ProcessHandle.of(pid()).orElseThrow();
    Signals.send(postmaster.pid(), "STOP");
    postmaster.descendants().forEach(child -> Signals.send(child.pid(), "STOP"));
    frozen = true;
  }

  private long pid() {
    Path file = directory.resolve("postmaster.pid");
    try {
      return Long.parseLong(Files.readAllLines(file).get(0).strip());
    } catch (IOException e) {
      throw new UncheckedIOException("No PostgreSQL runs in " + directory, e);
    }
  }

  private void execute(String sql) {
    try (Connection connection = postgres.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    } catch (SQLException e) {
      throw new IllegalStateException("PostgreSQL in %s: '%s'".formatted(directory, sql), e);
    }
  }

  /** Waits until a query returns a number above 0. */
  private void await(String query, String what) {
    long end = System.nanoTime() + TIMEOUT_NANOS;
    try (Connection connection = postgres.getPostgresDatabase().getConnection();
        Statement statement = connection.createStatement()) {
      while (System.nanoTime() < end) {
        try (ResultSet row = statement.executeQuery(query)) {
          row.next();
          if (row.getLong(1) > 0) {
            return;
          }
        }
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
      }
    } catch (SQLException e) {
      throw new IllegalStateException("PostgreSQL in %s: '%s'".formatted(directory, query), e);
    }
    throw new IllegalStateException(
        "PostgreSQL in %s waited for %s for 30 s in vain".formatted(directory, what));
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
   * Returns the JDBC address of a database on whichever of two servers takes writes.
   *
   * @param name an existing database
   * @param standby of this server
   * @return address with user
   */
  public String url(String name, PostgresServer standby) {
    // the driver remembers for 10 s otherwise that a server was a standby
    return "jdbc:postgresql://localhost:%d,localhost:%d/%s?user=postgres&targetServerType=primary&hostRecheckSeconds=1"
        .formatted(postgres.getPort(), standby.postgres.getPort(), name);
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
    if (frozen && !crashed) {
      crash();
    }
    if (crashed) {
      return;
    }
    try {
      postgres.close();
    } catch (IOException e) {
      throw new UncheckedIOException("PostgreSQL could not be stopped", e);
    }
  }
}
