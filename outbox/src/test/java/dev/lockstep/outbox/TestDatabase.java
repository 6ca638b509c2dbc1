package dev.lockstep.outbox;

import dev.lockstep.testkit.mariadb.MariaDbServer;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.SQLException;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.h2.tools.Server;

/**
 * A database server on loopback that makes empty databases.
 *
 * @param create from a name to a JDBC address
 * @param isFollowed relays follow its log
 */
record TestDatabase(UnaryOperator<String> create, boolean isFollowed, Runnable stop)
    implements AutoCloseable {

  /** Settings of a server whose log can be followed. */
  static final Map<String, String> LOGICAL =
      Map.of("wal_level", "logical", "max_wal_senders", "40", "max_replication_slots", "40");

  /** The kinds that an outbox can live in. */
  enum Kind {
    POSTGRESQL,
    MARIADB,
    H2
  }

  static TestDatabase start(Kind kind, Path directory) {
    return switch (kind) {
      case POSTGRESQL -> {
        PostgresServer server = PostgresServer.start(directory.resolve("pg"));
        yield new TestDatabase(server::createDatabase, false, server::close);
      }
      case MARIADB -> {
        MariaDbServer server = MariaDbServer.start(directory.resolve("mariadb"));
        yield new TestDatabase(server::createDatabase, false, server::close);
      }
      case H2 -> h2(directory.resolve("h2"));
    };
  }

  /** A PostgreSQL whose log relays follow. */
  static TestDatabase followed(Path directory) {
    PostgresServer server = PostgresServer.start(directory.resolve("pg"), LOGICAL);
    return new TestDatabase(server::createDatabase, true, server::close);
  }

  private static TestDatabase h2(Path directory) {
    try {
      System.setProperty("h2.bindAddress", "127.0.0.1");
      Server server =
          Server.createTcpServer("-tcpPort", "0", "-ifNotExists", "-baseDir", directory.toString())
              .start();
      return new TestDatabase(
          name -> "jdbc:h2:tcp://127.0.0.1:%d/./%s".formatted(server.getPort(), name),
          false,
          server::stop);
    } catch (SQLException e) {
      throw new IllegalStateException("H2 could not be started", e);
    }
  }

  @Override
  public void close() {
    stop.run();
  }
}
