package dev.lockstep.lock;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.testkit.mariadb.MariaDbServer;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.ChildJvm;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.h2.jdbcx.JdbcDataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mariadb.jdbc.MariaDbDataSource;

/** Fencing tokens in real databases. */
class JdbcFenceIT {

  /** Databases that the fence knows. */
  enum Database {
    POSTGRESQL,
    MARIADB,
    H2
  }

  @TempDir static Path directory;
  private static PostgresServer postgres;
  private static MariaDbServer mariadb;
  private static final Map<Database, DataSource> SOURCES = new EnumMap<>(Database.class);

  @BeforeAll
  static void startServers() throws SQLException {
    postgres = PostgresServer.start(directory.resolve("pg"));
    mariadb = MariaDbServer.start(directory.resolve("mariadb"));
    postgres.createDatabase("fenced");
    SOURCES.put(Database.POSTGRESQL, postgres.dataSource("fenced"));
    SOURCES.put(Database.MARIADB, new MariaDbDataSource(mariadb.createDatabase("fenced")));
    JdbcDataSource h2 = new JdbcDataSource();
    h2.setURL("jdbc:h2:" + directory.resolve("h2").resolve("fenced"));
    SOURCES.put(Database.H2, h2);
    SOURCES.values().forEach(JdbcFence::migrate);
  }

  @AfterAll
  static void stopServers() {
    mariadb.close();
    postgres.close();
  }

  @ParameterizedTest
  @EnumSource(Database.class)
  void lowerTokensAreRefusedAndTheirTransactionCanBeRolledBack(Database database)
      throws SQLException {
    try (Connection connection = open(database)) {
      JdbcFence.require(connection, Map.of("a", 5L, "b", 5L));
      JdbcFence.require(connection, Map.of("a", 5L));
      JdbcFence.require(connection, Map.of("a", 6L, "c", 1L));
      connection.commit();
      assertThatThrownBy(() -> JdbcFence.require(connection, Map.of("a", 5L, "c", 2L)))
          .isInstanceOf(StaleTokenException.class)
          .hasMessageContaining("1 of 2 keys were written under a higher token");
      connection.rollback();
      JdbcFence.require(connection, Map.of("c", 1L));
      connection.commit();
      // keys that differ in case or accents are different keys
      JdbcFence.require(connection, Map.of("A", 1L, "ä", 1L, "a ", 1L));
      connection.commit();
    }
  }

  /** Eight writers with tokens that rise, some of them late. */
  @ParameterizedTest
  @EnumSource(Database.class)
  void concurrentWritersNeverGoBack(Database database) throws Exception {
    try (Connection connection = open(database);
        Statement statement = connection.createStatement()) {
      statement.execute(
          "CREATE TABLE guarded_log (place bigint %s PRIMARY KEY, token bigint NOT NULL)"
              .formatted(
                  database == Database.MARIADB
                      ? "AUTO_INCREMENT"
                      : "GENERATED ALWAYS AS IDENTITY"));
      connection.commit();
    }
    ExecutorService threads = Executors.newFixedThreadPool(8);
    List<Future<Integer>> running = new ArrayList<>();
    for (int t = 0; t < 8; t++) {
      Random random = new Random(20261121L + t);
      running.add(threads.submit(() -> write(database, random)));
    }
    int accepted = 0;
    for (Future<Integer> each : running) {
      accepted += each.get(60, TimeUnit.SECONDS);
    }
    threads.shutdown();

    List<Long> tokens = new ArrayList<>();
    try (Connection connection = open(database);
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT token FROM guarded_log ORDER BY place")) {
      while (rows.next()) {
        tokens.add(rows.getLong(1));
      }
    }
    assertThat(tokens).hasSize(accepted).isSorted();
    assertThat(accepted).isBetween(10, 8 * 60 - 10);
  }

  private static int write(Database database, Random random) throws SQLException {
    int accepted = 0;
    try (Connection connection = open(database)) {
      for (int i = 1; i <= 60; i++) {
        try (Statement statement = connection.createStatement()) {
          JdbcFence.require(connection, Map.of("log", (long) (i * 10 + random.nextInt(40))));
          statement.execute(
              "INSERT INTO guarded_log (token) SELECT token FROM lockstep_fence"
                  + " WHERE lock_key = 'log'");
          connection.commit();
          accepted++;
        } catch (StaleTokenException e) {
          connection.rollback();
        } catch (SQLException e) {
          // two first writers of a key at once, or a deadlock that the database ended
          connection.rollback();
        }
      }
    }
    return accepted;
  }

  @Test
  void holderThatWasPausedForThreeTimesItsTtlNeverWrites() throws Exception {
    Path go = directory.resolve("go");
    try (LockWorld world = new LockWorld(directory.resolve("world"));
        LockClient successor = world.client()) {
      String url = postgres.createDatabase("paused");
      JdbcFence.migrate(postgres.dataSource("paused"));
      ChildJvm holder =
          ChildJvm.start(
              "holder",
              directory.resolve("holder.log"),
              List.of("-Xmx128m"),
              GuardedHolderMain.class.getName(),
              List.of(world.config().bootstrapServers(), url, go.toString()));
      try (holder;
          Connection connection = postgres.dataSource("paused").getConnection()) {
        await()
            .atMost(Duration.ofSeconds(30))
            .untilAsserted(() -> assertThat(holder.output()).content().contains("holds"));
        holder.pause();
        Lease lease = successor.lock("guarded").acquire(Duration.ofSeconds(20));
        JdbcFence.require(connection, lease.tokens());
        await().pollDelay(Duration.ofSeconds(6)).until(() -> true);
        Files.createFile(go);
        holder.resume();
        await()
            .atMost(Duration.ofSeconds(30))
            .untilAsserted(
                () ->
                    assertThat(holder.output())
                        .content()
                        .contains("refused: 1 of 1 keys")
                        .doesNotContain("written\n"));
        lease.release().join();
      }
    }
  }

  private static Connection open(Database database) throws SQLException {
    Connection connection = requireNonNull(SOURCES.get(database)).getConnection();
    connection.setAutoCommit(false);
    return connection;
  }
}
