package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.read.ListAppender;
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.process.Signals;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.slf4j.LoggerFactory;

/** Relays hear of commits in other processes; where they cannot they poll, and nobody waits. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class WakeUpIT {

  private static final Duration SELDOM = Duration.ofSeconds(10);

  private Path directory;
  private KafkaCluster cluster;
  private TestDatabase postgres;

  @BeforeAll
  void startServers(@TempDir Path temporary) {
    directory = temporary;
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    postgres = TestDatabase.start(TestDatabase.Kind.POSTGRESQL, directory);
  }

  @AfterAll
  void stopServers() {
    postgres.close();
    cluster.close();
  }

  @Test
  void commitElsewhereWakesARelayThatPollsSeldom() throws Exception {
    try (OutboxWorld world = world("elsewhere");
        HikariDataSource elsewhere = pool(world)) {
      Outbox writer = new Outbox(elsewhere);
      RelayNotifier notifier = writer.notifyRelays();
      try (OutboxRelay relay =
          OutboxRelay.start(world.outbox, world.options.withLongestPoll(SELDOM).withListening())) {
        soon(() -> assertThat(relay.health().notes()).isEmpty());
        soon(
            () ->
                assertThat(relay.health().shards().values()).hasSize(4).containsOnly("STREAMING"));
        for (int n = 1; n <= 2; n++) {
          untilItPollsSeldom();
          publish(writer, "elsewhere", n);
          int rows = n;
          await()
              .pollInterval(Duration.ofMillis(5))
              .atMost(Duration.ofMillis(3_200))
              .until(() -> relay.stats().rows() == rows);
        }
        assertThat(notifier.sent()).isEqualTo(2);
        assertThat(notifier.failures()).isZero();
        notifier.close();

        untilItPollsSeldom();
        publish(writer, "elsewhere", 3);
        await()
            .during(Duration.ofMillis(1_000))
            .atMost(Duration.ofMillis(2_500))
            .until(() -> relay.stats().rows() == 2);
        soon(() -> assertThat(relay.stats().rows()).isEqualTo(3));
        assertThat(world.read("elsewhere")).containsExactly("k=1", "k=2", "k=3");
      }
    }
  }

  @Test
  void writersDoNotWaitForANotificationThatIsStuckNorFailWithOne() throws Exception {
    AtomicBoolean away = new AtomicBoolean();
    try (OutboxWorld world = world("stuck");
        HikariDataSource pool = pool(world);
        KeptConnection kept = new KeptConnection(world.dataSource.getJdbcUrl())) {
      Outbox writer =
          new Outbox(
              connections(
                  () -> {
                    if (!Thread.currentThread().getName().equals("outbox-notify")) {
                      return pool.getConnection();
                    }
                    if (away.get()) {
                      throw new SQLException("away", "08001");
                    }
                    return kept.get();
                  }));
      try (RelayNotifier notifier = writer.notifyRelays()) {
        publish(writer, "stuck", 0);
        soon(() -> assertThat(notifier.sent()).isEqualTo(1));
        long pid = kept.pid();
        Signals.send(pid, "STOP");
        try {
          long began = System.nanoTime();
          for (int n = 1; n <= 50; n++) {
            publish(writer, "stuck", n);
          }
          assertThat(Duration.ofNanos(System.nanoTime() - began))
              .isLessThan(Duration.ofMillis(4_500));
          assertThat(notifier.sent()).isEqualTo(1);
          soon(() -> assertThat(notifier.failures()).isEqualTo(1));
        } finally {
          Signals.send(pid, "CONT");
        }
        // told again without a further commit
        soon(() -> assertThat(notifier.sent()).isEqualTo(2));

        away.set(true);
        publish(writer, "stuck", 51);
        soon(() -> assertThat(notifier.failures()).isGreaterThan(1));
        publish(writer, "stuck", 52);
        away.set(false);
        soon(() -> assertThat(notifier.sent()).isEqualTo(3));
        assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(53);

        assertThatThrownBy(writer::notifyRelays)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("notifies relays already");
      }
      writer.notifyRelays().close();
    }
  }

  @ParameterizedTest
  @CsvSource({
    "unwrap, connections of the data source are no PGConnection",
    "listen, a notification to itself did not arrive within 3 s"
  })
  void relayThatCannotHearPollsAndSaysSoOnce(String broken, String why) throws Exception {
    try (OutboxWorld world = world("deaf_" + broken);
        Warnings warnings = new Warnings()) {
      DataSource deaf =
          connections(() -> new Without(broken).wrap(world.dataSource.getConnection()));
      try (OutboxRelay relay =
          OutboxRelay.start(
              new Outbox(deaf),
              world.options.withLongestPoll(Duration.ofMillis(50)).withListening())) {
        soon(() -> assertThat(relay.health().notes()).singleElement().asString().contains(why));
        publish(world.outbox, "deaf_" + broken, 1);
        soon(() -> assertThat(world.read("deaf_" + broken)).containsExactly("k=1"));
        assertThat(relay.health().isHealthy()).isTrue();
      }
      assertThat(warnings.texts()).singleElement().asString().contains(why);
    }
  }

  @Test
  void relayListensAgainAfterItsConnectionWasEnded() throws Exception {
    AtomicBoolean away = new AtomicBoolean();
    AtomicInteger attempts = new AtomicInteger();
    try (OutboxWorld world = world("again");
        HikariDataSource elsewhere = pool(world);
        Warnings warnings = new Warnings()) {
      Outbox writer = new Outbox(elsewhere);
      DataSource ofRelay =
          connections(
              () -> {
                if (Thread.currentThread().getName().endsWith("-listen")) {
                  attempts.incrementAndGet();
                  if (away.get()) {
                    throw new SQLException("away", "08001");
                  }
                }
                return world.dataSource.getConnection();
              });
      try (RelayNotifier notifier = writer.notifyRelays();
          OutboxRelay relay =
              OutboxRelay.start(
                  new Outbox(ofRelay), world.options.withLongestPoll(SELDOM).withListening())) {
        soon(() -> assertThat(relay.health().notes()).isEmpty());
        away.set(true);
        int before = attempts.get();
        assertThat(
                world.number(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                        + " WHERE query = 'LISTEN lockstep_outbox'"))
            .isEqualTo(1);
        soon(() -> assertThat(attempts.get()).isGreaterThan(before + 2));
        assertThat(relay.health().notes()).isNotEmpty();
        assertThat(relay.health().isHealthy()).isTrue();
        away.set(false);
        soon(() -> assertThat(relay.health().notes()).isEmpty());
        untilItPollsSeldom();
        publish(writer, "again", 1);
        await()
            .pollInterval(Duration.ofMillis(5))
            .atMost(Duration.ofMillis(2_500))
            .until(() -> relay.stats().rows() == 1);
        assertThat(notifier.failures()).isZero();
      }
      assertThat(warnings.texts())
          .singleElement()
          .asString()
          .contains("it cannot listen")
          .contains("terminating connection");
      // nothing of it is left to those who get the connection from the pool next
      assertThat(world.number("SELECT count(*) FROM pg_listening_channels()")).isZero();
    }
  }

  @Test
  void manyCommitsAreToldOfByFewNotifications() throws Exception {
    int writers = 8;
    int each = 250;
    try (OutboxWorld world = world("many");
        HikariDataSource elsewhere = pool(world);
        Connection listening = DriverManager.getConnection(world.dataSource.getJdbcUrl());
        Statement listen = listening.createStatement()) {
      listen.execute("LISTEN lockstep_outbox");
      Outbox writer = new Outbox(elsewhere);
      try (RelayNotifier notifier = writer.notifyRelays()) {
        Executor threads = task -> new Thread(task).start();
        long began = System.nanoTime();
        CompletableFuture.allOf(
                IntStream.range(0, writers)
                    .mapToObj(
                        w ->
                            CompletableFuture.runAsync(
                                () ->
                                    IntStream.range(0, each)
                                        .forEach(n -> publish(writer, "many", n)),
                                threads))
                    .toArray(CompletableFuture[]::new))
            .get(60, TimeUnit.SECONDS);
        int heard = 0;
        PGConnection notified = listening.unwrap(PGConnection.class);
        for (PGNotification[] some = notified.getNotifications(1_000);
            some.length > 0;
            some = notified.getNotifications(1_000)) {
          heard += some.length;
        }
        long millis = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began) - 1_000;
        assertThat(heard).isPositive().isEqualTo((int) notifier.sent());
        assertThat((long) heard).isLessThanOrEqualTo(millis / 5 + 1);
        assertThat(heard).isLessThan(writers * each / 4);
      }
    }
  }

  @Test
  void databaseWithoutNotificationsIsLeftAlone() throws Exception {
    try (TestDatabase h2 = TestDatabase.start(TestDatabase.Kind.H2, directory);
        OutboxWorld world = new OutboxWorld(cluster, h2, "portable")) {
      world.createTopic("portable", 1, Map.of());
      world.outbox.register("portable", Lane.EXACTLY_ONCE, 0);
      try (RelayNotifier notifier = world.outbox.notifyRelays();
          OutboxRelay relay = OutboxRelay.start(world.outbox, world.options.withListening())) {
        publish(world.outbox, "portable", 1);
        soon(() -> assertThat(world.read("portable")).containsExactly("k=1"));
        assertThat(notifier.sent() + notifier.failures()).isZero();
        assertThat(relay.health().notes())
            .containsExactly(
                "commits in other processes are found by polling: this database sends no notifications");
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
  }

  private OutboxWorld world(String name) throws Exception {
    OutboxWorld world = new OutboxWorld(cluster, postgres, name);
    world.createTopic(name, 1, Map.of());
    world.outbox.register(name, Lane.EXACTLY_ONCE, 0);
    return world;
  }

  private static HikariDataSource pool(OutboxWorld world) {
    HikariConfig config = new HikariConfig();
    config.setJdbcUrl(world.dataSource.getJdbcUrl());
    return new HikariDataSource(config);
  }

  private static void publish(Outbox outbox, String topic, int n) {
    try {
      outbox.inTransaction(tx -> tx.publish(message(topic, "k", "" + n)));
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  /** Pauses double from 2 ms on: by now one of 4,096 ms has begun, 4.1 s after the last row. */
  private static void untilItPollsSeldom() {
    await().pollDelay(Duration.ofMillis(4_600)).until(() -> true);
  }

  private interface Connections {
    Connection get() throws SQLException;
  }

  private static DataSource connections(Connections connections) {
    return (DataSource)
        Proxy.newProxyInstance(
            WakeUpIT.class.getClassLoader(),
            new Class<?>[] {DataSource.class},
            (proxy, method, arguments) -> {
              assertThat(method.getName()).isEqualTo("getConnection");
              return connections.get();
            });
  }

  private static Object call(Object target, Method method, Object[] arguments) throws Throwable {
    try {
      return method.invoke(target, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }

  /** One connection that nobody can close; a new one when it is broken. */
  private static final class KeptConnection implements AutoCloseable {

    private final String url;
    private Connection connection;

    KeptConnection(String url) {
      this.url = url;
    }

    synchronized Connection get() throws SQLException {
      if (connection == null || connection.isClosed()) {
        connection = DriverManager.getConnection(url);
      }
      Connection present = connection;
      return (Connection)
          Proxy.newProxyInstance(
              WakeUpIT.class.getClassLoader(),
              new Class<?>[] {Connection.class},
              (proxy, method, arguments) ->
                  method.getName().equals("close") ? null : call(present, method, arguments));
    }

    synchronized long pid() throws SQLException {
      try (Statement statement = connection.createStatement();
          ResultSet row = statement.executeQuery("SELECT pg_backend_pid()")) {
        row.next();
        return row.getLong(1);
      }
    }

    @Override
    public void close() throws SQLException {
      connection.close();
    }
  }

  /** Connections that lack something: {@code unwrap}, or a {@code listen} that is kept. */
  private record Without(String what) {

    Connection wrap(Connection connection) {
      return (Connection)
          Proxy.newProxyInstance(
              WakeUpIT.class.getClassLoader(),
              new Class<?>[] {Connection.class},
              (proxy, method, arguments) -> {
                if (what.equals("unwrap") && method.getName().equals("isWrapperFor")) {
                  return false;
                }
                Object result = call(connection, method, arguments);
                return what.equals("listen") && method.getName().equals("createStatement")
                    ? deaf((Statement) result)
                    : result;
              });
    }

    /** As a pooler does that lends another connection to each transaction. */
    private static Statement deaf(Statement statement) {
      return (Statement)
          Proxy.newProxyInstance(
              WakeUpIT.class.getClassLoader(),
              new Class<?>[] {Statement.class},
              (proxy, method, arguments) ->
                  method.getName().equals("execute") && ((String) arguments[0]).startsWith("LISTEN")
                      ? false
                      : call(statement, method, arguments));
    }
  }

  /** What is said of listening, at the level of warnings. */
  private static final class Warnings implements AutoCloseable {

    private final ListAppender<ILoggingEvent> events = new ListAppender<>();
    private final Logger logger =
        (Logger) LoggerFactory.getLogger("dev.lockstep.outbox.internal.relay.CommitListener");

    Warnings() {
      events.start();
      logger.addAppender(events);
    }

    List<String> texts() {
      return events.list.stream()
          .filter(event -> event.getLevel().isGreaterOrEqual(Level.WARN))
          .map(ILoggingEvent::getFormattedMessage)
          .toList();
    }

    @Override
    public void close() {
      logger.detachAppender(events);
    }
  }
}
