package dev.lockstep.benchmark.locks.system;

import dev.lockstep.benchmark.locks.LockDriver;
import dev.lockstep.benchmark.locks.LockSystem;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Advisory locks of PostgreSQL sessions, a connection per client. JDBC blocks, so there is no other
 * variant.
 */
public final class PostgresLocks implements LockSystem {

  private static final int MOST_CLIENTS = 600;

  private final PostgresServer server;
  private final String url;

  /**
   * Starts PostgreSQL.
   *
   * @param directory for its files
   */
  public PostgresLocks(Path directory) {
    server =
        PostgresServer.start(
            directory.resolve("pg"),
            Map.of("max_connections", Integer.toString(MOST_CLIENTS + 10)));
    url = server.createDatabase("locks");
  }

  @Override
  public String name() {
    return "postgres";
  }

  @Override
  public String version() {
    try (Connection connection = DriverManager.getConnection(url)) {
      return "PostgreSQL %s advisory locks; memory only"
          .formatted(connection.getMetaData().getDatabaseProductVersion());
    } catch (SQLException e) {
      return "PostgreSQL: " + e.getMessage();
    }
  }

  @Override
  public List<String> variants() {
    return List.of("blocking");
  }

  @Override
  public LockDriver connect(String variant, int clients) throws Exception {
    if (clients > MOST_CLIENTS) {
      throw new IllegalArgumentException(
          "PostgreSQL is started for at most %d clients, asked for %d"
              .formatted(MOST_CLIENTS, clients));
    }
    List<Session> sessions = new ArrayList<>();
    for (int i = 0; i < clients; i++) {
      sessions.add(new Session(url));
    }
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return false;
      }

      @Override
      public CompletableFuture<Held> acquire(int number, String key) throws Exception {
        Session session = sessions.get(number);
        session.run(session.lock, key);
        return CompletableFuture.completedFuture(
            () -> {
              session.run(session.unlock, key);
              return CompletableFuture.completedFuture(null);
            });
      }

      @Override
      public void close() {
        sessions.forEach(Session::close);
      }
    };
  }

  @Override
  public void close() {
    server.close();
  }

  /** One connection with its two statements. */
  private static final class Session {

    private final Connection connection;
    private final PreparedStatement lock;
    private final PreparedStatement unlock;

    Session(String url) throws SQLException {
      connection = DriverManager.getConnection(url);
      lock = connection.prepareStatement("SELECT pg_advisory_lock(hashtextextended(?, 0))");
      unlock = connection.prepareStatement("SELECT pg_advisory_unlock(hashtextextended(?, 0))");
    }

    void run(PreparedStatement statement, String key) throws SQLException {
      statement.setString(1, key);
      statement.executeQuery().close();
    }

    void close() {
      try {
        connection.close();
      } catch (SQLException e) {
        // the server is about to go
      }
    }
  }
}
