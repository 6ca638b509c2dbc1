package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Relays that follow the log of their database, and those that cannot. */
class WalIT {

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static TestDatabase database;
  private static int worlds;

  private OutboxWorld world;
  private String topic;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    database = TestDatabase.followed(directory);
  }

  @AfterAll
  static void stopServers() {
    database.close();
    cluster.close();
  }

  @BeforeEach
  void createWorld(TestInfo info) throws Exception {
    String name = info.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT);
    world =
        new OutboxWorld(
            cluster, database, name.substring(0, Math.min(36, name.length())) + worlds++);
    topic = world.createTopic("wal-" + worlds, 3, Map.of());
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  @ParameterizedTest
  @EnumSource(Lane.class)
  void rowsComeFromTheLogAsTheyComeFromTheLedger(Lane lane) throws Exception {
    world.outbox.register(topic, lane, 3);
    publishAllKinds();
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      following(relay);
      List<String> fromLedger = described();
      publishAllKinds();
      soon(() -> assertThat(world.records(topic)).hasSize(2 * fromLedger.size()));
      assertThat(relay.health().shards().values()).containsOnly("FOLLOWING");
      assertThat(relay.health().notes()).isEmpty();
      List<String> all = described();
      fromLedger.forEach(all::remove);
      assertThat(all).containsExactlyInAnyOrderElementsOf(fromLedger);
    }
    // the slot is gone with its relay
    soon(() -> assertThat(world.number("SELECT count(*) FROM pg_replication_slots")).isZero());
  }

  private void publishAllKinds() throws SQLException {
    world.publish(
        message(topic, "a", "1").withHeader("who", "x").withHeader("where", "Åbo, \"there\""),
        message(topic, "b", "1"),
        message(topic, "a", "2"));
    world.publish(OutboxMessage.tombstone(topic, "a"));
    world.publish(message(topic, "c", "1").toPartition(2));
    world.publish(OutboxMessage.of(topic, (byte[]) null, OutboxWorld.bytes("no key")));
    world.publish(
        IntStream.range(0, 300)
            .mapToObj(i -> message(topic, "k" + i % 7, "" + i))
            .toArray(OutboxMessage[]::new));
  }

  /** What does not depend on the place where a record lies. */
  private List<String> described() {
    List<String> all = new ArrayList<>();
    for (ConsumerRecord<byte[], byte[]> record : world.records(topic)) {
      all.add(
          "%s=%s to %s with %s, %s from %s"
              .formatted(
                  text(record.key()),
                  text(record.value()),
                  record.key() == null ? "any" : record.partition(),
                  LockstepHeaders.text(record.headers(), "who"),
                  LockstepHeaders.text(record.headers(), "where"),
                  LockstepHeaders.text(record.headers(), LockstepHeaders.CE_SOURCE)));
    }
    return all;
  }

  private static String text(byte[] bytes) {
    return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
  }

  @Test
  void userOfTheLogNeedsReplicationAndNothingElse() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    world.execute("CREATE USER follower REPLICATION");
    Properties user = new Properties();
    user.setProperty("user", "follower");
    String url = world.dataSource.getJdbcUrl().replaceAll("\\?.*", "");
    world.createTopic(
        sample(world.config, url, user).positionsTopic(), 4, Map.of("cleanup.policy", "compact"));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, sample(world.config, url, user))) {
      following(relay);
      world.publish(message(topic, "a", "1"));
      soon(() -> assertThat(world.read(topic)).containsExactly("a=1"));
    }
  }

  private static RelayOptions sample(LockstepConfig config, String url, Properties properties) {
    // tag::wal[]
    RelayOptions options = RelayOptions.of(config, "orders").withWal(WalSource.of(url, properties));
    // end::wal[]
    return options;
  }

  @Test
  void transactionThatIsLargerThanAPageComesWholeAndInOrder() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options.withPageRows(40))) {
      following(relay);
      for (int round = 0; round < 3; round++) {
        int first = round * 1_000;
        world.publish(
            IntStream.range(first, first + 1_000)
                .mapToObj(i -> message(topic, "a", "" + i))
                .toArray(OutboxMessage[]::new));
      }
      soon(() -> assertThat(world.records(topic)).hasSize(3_000));
      assertThat(world.read(topic))
          .isEqualTo(IntStream.range(0, 3_000).mapToObj(i -> "a=" + i).toList());
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** 12,000 rows of one transaction are more than a relay keeps of it. */
  @Test
  void transactionThatIsTooLargeToKeepIsReadFromTheLedger() throws Exception {
    world.outbox.register(topic, Lane.EXPRESS, 3);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      following(relay);
      world.publish(message(topic, "a", "first"));
      world.execute(
          "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload)"
              + " SELECT 1, gen_random_uuid(), '"
              + topic
              + "', 'a', convert_to(i::text, 'UTF8') FROM generate_series(1, 12000) i");
      world.publish(message(topic, "a", "last"));
      soon(() -> assertThat(world.records(topic)).hasSize(12_002));
      List<String> read = world.read(topic);
      assertThat(read.get(0)).isEqualTo("a=first");
      assertThat(read.get(12_001)).isEqualTo("a=last");
      assertThat(read.subList(1, 12_001))
          .isEqualTo(IntStream.rangeClosed(1, 12_000).mapToObj(i -> "a=" + i).toList());
      soon(() -> assertThat(relay.health().shards().values()).containsOnly("FOLLOWING"));
    }
  }

  @Test
  void lostLogIsReplacedByTheLedgerWithoutLossOrRepeat() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      int next = 0;
      for (int round = 0; round < 3; round++) {
        following(relay);
        for (int i = 0; i < 40; i++) {
          world.publish(message(topic, "a", "" + next++));
          if (i == 20) {
            // the one of the round before may be gone, and its successor not be there yet
            soon(
                () ->
                    assertThat(
                            world.number(
                                "SELECT count(pg_terminate_backend(active_pid))"
                                    + " FROM pg_replication_slots"))
                        .isEqualTo(1));
          }
        }
      }
      int all = next;
      soon(() -> assertThat(world.records(topic)).hasSizeGreaterThanOrEqualTo(all));
      assertThat(world.read(topic))
          .isEqualTo(IntStream.range(0, all).mapToObj(i -> "a=" + i).toList());
      following(relay);
    }
  }

  /** The slot cannot be made while it is open, and whoever waits for it must not stand still. */
  @Test
  void openTransactionLeavesTheRelayWithTheLedger() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    try (Connection open = world.dataSource.getConnection();
        Statement statement = open.createStatement()) {
      open.setAutoCommit(false);
      statement.execute("SELECT pg_current_xact_id()");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        world.publish(message(topic, "a", "1"));
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1"));
        assertThat(relay.health().shards().values()).doesNotContain("FOLLOWING");
        assertThat(relay.health().isHealthy()).isTrue();
        assertThat(relay.health().notes()).singleElement().asString().contains("not followed");
        world.outbox.publish(open, message(topic, "a", "2"));
        open.commit();
        following(relay);
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1", "a=2"));
      }
    }
  }

  /** What was refused took the page before it along: that one came twice. */
  @ParameterizedTest
  @EnumSource(Lane.class)
  void refusedRowRepeatsNothingBeforeIt(Lane lane) throws Exception {
    String small = world.createTopic(topic + "-small", 1, Map.of("max.message.bytes", "100000"));
    world.outbox.register(small, lane, 1, PoisonPolicy.PARK);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      following(relay);
      List<String> expected = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        world.publish(message(small, "a", "" + i));
        expected.add("a=" + i);
        soon(() -> assertThat(world.read(small)).isEqualTo(expected));
        world.publish(OutboxMessage.of(small, "a", new byte[200_000]));
        int parked = i + 1;
        soon(() -> assertThat(world.admin.parked(10)).hasSize(parked));
      }
      world.publish(message(small, "a", "last"));
      expected.add("a=last");
      soon(() -> assertThat(world.read(small)).contains("a=last"));
      assertThat(world.read(small)).isEqualTo(expected);
      assertThat(relay.health().shards().values()).containsOnly("FOLLOWING");
    }
  }

  /** It waited for a poll that finds nothing, and there was none. */
  @Test
  void relayJoinsTheLogUnderSteadyTraffic() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    AtomicBoolean running = new AtomicBoolean(true);
    CompletableFuture<Integer> writer =
        CompletableFuture.supplyAsync(
            () -> {
              int written = 0;
              while (running.get()) {
                publish("" + written++);
              }
              return written;
            });
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      following(relay);
      running.set(false);
      int written = writer.get();
      soon(() -> assertThat(world.records(topic)).hasSizeGreaterThanOrEqualTo(written));
      assertThat(world.read(topic))
          .isEqualTo(IntStream.range(0, written).mapToObj(i -> "a=" + i).toList());
    } finally {
      running.set(false);
    }
  }

  private void publish(String value) {
    try {
      world.publish(message(topic, "a", value));
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  /** The driver ended the stream behind each second in which nothing was committed. */
  @Test
  void timeoutOfTheDriverDoesNotEndTheLog() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    Properties impatient = new Properties();
    impatient.setProperty("socketTimeout", "1");
    RelayOptions options =
        world.options.withWal(WalSource.of(world.dataSource.getJdbcUrl(), impatient));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      following(relay);
      String slot = world.text("SELECT slot_name FROM pg_replication_slots");
      await().pollDelay(Duration.ofSeconds(3)).until(() -> true);
      following(relay);
      assertThat(world.text("SELECT slot_name FROM pg_replication_slots")).isEqualTo(slot);
    }
  }

  /** Each relay that was closed left a sender and a slot, which the transaction kept. */
  @Test
  void relayThatIsClosedBesideAnOpenTransactionLeavesNoSlot() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    try (Connection open = world.dataSource.getConnection();
        Statement statement = open.createStatement()) {
      open.setAutoCommit(false);
      statement.execute("SELECT pg_current_xact_id()");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(
            () ->
                assertThat(world.number("SELECT count(*) FROM pg_replication_slots")).isEqualTo(1));
        assertThat(relay.health().isHealthy()).isTrue();
      }
      soon(() -> assertThat(world.number("SELECT count(*) FROM pg_replication_slots")).isZero());
      open.rollback();
    }
  }

  /** Many transactions that are not the outbox's lie between two of its own. */
  @Test
  void positionsStaySmallBesideATrafficThatIsNotTheirs() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 3);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      following(relay);
      world.publish(message(topic, "a", "1"));
      soon(() -> assertThat(world.records(topic)).hasSize(1));
      world.execute(
          "DO $$ BEGIN FOR i IN 1 .. 12000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
      for (int i = 2; i <= 30; i++) {
        world.publish(message(topic, "a", "" + i));
      }
      soon(() -> assertThat(world.records(topic)).hasSize(30));
      soon(() -> assertThat(relay.health().shards().values()).containsOnly("FOLLOWING"));
      assertThat(world.records(world.options.positionsTopic()))
          .allSatisfy(record -> assertThat(record.value().length).isLessThan(150_000));
      ConsumerRecord<byte[], byte[]> last =
          world.records(world.options.positionsTopic()).stream()
              .reduce((one, other) -> one.timestamp() > other.timestamp() ? one : other)
              .orElseThrow();
      assertThat(last.value().length).isLessThan(10_000);
    }
  }

  @Test
  void logThatCannotBeFollowedStopsTheStartWithAllFaults() throws Exception {
    world.execute("DROP PUBLICATION lockstep_outbox");
    assertThatThrownBy(() -> OutboxRelay.start(world.outbox, world.options))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("publication 'lockstep_outbox' is missing: run wal-postgresql.sql");
    try (PostgresServer plain = PostgresServer.start(directory.resolve("plain"));
        OutboxWorld other = new OutboxWorld(cluster, plain, "plain")) {
      String url = other.dataSource.getJdbcUrl();
      assertThatThrownBy(
              () ->
                  OutboxRelay.start(
                      other.outbox, other.options.withWal(WalSource.of(url, new Properties()))))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("wal_level is 'replica', needs 'logical'; publication");
      assertThatThrownBy(
              () -> OutboxRelay.start(world.outbox, world.options.withWal(of(other.dataSource))))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("the log is that of server");
      other.execute("CREATE USER nobody");
      Properties nobody = new Properties();
      nobody.setProperty("user", "nobody");
      assertThatThrownBy(
              () ->
                  OutboxRelay.start(
                      other.outbox,
                      other.options.withWal(WalSource.of(url.split("\\?")[0], nobody))))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("needs REPLICATION");
    }
  }

  private static WalSource of(HikariDataSource dataSource) {
    return WalSource.of(dataSource.getJdbcUrl(), new Properties());
  }

  private static void following(OutboxRelay relay) {
    soon(() -> assertThat(relay.health().shards().values()).hasSize(4).containsOnly("FOLLOWING"));
  }
}
