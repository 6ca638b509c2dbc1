package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.Signals;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Databases that crash or go back in time, and relays that lose their shard. */
class DisasterIT {

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static PostgresServer postgres;

  private OutboxWorld world;
  private String name;
  private String topic;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    // what was not flushed by a commit is lost in a crash
    postgres =
        PostgresServer.start(
            directory.resolve("pg"),
            Map.of("wal_writer_delay", "10000ms", "synchronous_commit", "on"));
  }

  @AfterAll
  static void stopServers() {
    postgres.close();
    cluster.close();
  }

  @BeforeEach
  void createWorld(TestInfo info) throws Exception {
    name = info.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT);
    name = name.substring(0, Math.min(40, name.length()));
    world = new OutboxWorld(cluster, postgres, name);
    topic = world.createTopic("disaster-" + name, 1, Map.of());
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  /** Execution 3 of the outbox review: its row lies in no difference of two snapshots. */
  @Test
  void transactionIdThatACrashedServerHandsOutAgainIsPublished() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().shards()).hasSize(4));
      List<String> published = new ArrayList<>();
      long lost;
      do {
        assertThat(published).as("crashes that lost no transaction id").hasSizeLessThan(20);
        world.admin.pause("test", "until it has something to see");
        soon(() -> assertThat(relay.health().shards().values()).containsOnly("PAUSED"));
        publish(published);
        world.admin.resume("test", "behind the last commit");
        // within half a second the relay takes a snapshot that knows these
        lost = loseIds();
        soon(() -> assertThat(world.read(topic)).containsExactlyElementsOf(published));
        int positions = world.records(world.options.positionsTopic()).size();
        crash();
        // all four shards have taken over again: what comes now is found by no look at the start
        soon(
            () ->
                assertThat(world.records(world.options.positionsTopic()))
                    .hasSizeGreaterThanOrEqualTo(positions + 4));
        // a flush of the server's own (its log writer's, another commit's) may have kept the ids
      } while (nextId() > lost);
      publish(published);

      assertThat(
              world.number(
                  "SELECT xid::text::bigint FROM lockstep_outbox ORDER BY seq DESC LIMIT 1"))
          .as("the crash must have handed out the same transaction id again")
          .isLessThanOrEqualTo(lost);
      soon(() -> assertThat(world.read(topic)).containsExactlyElementsOf(published));
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  private void publish(List<String> published) throws Exception {
    int next = published.size() + 1;
    world.publish(message(topic, "a", "" + next));
    published.add("a=" + next);
  }

  private long nextId() {
    return world.number("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint");
  }

  /** Ids of transactions that end without a commit: no flush writes them down. */
  private long loseIds() throws SQLException {
    long last = 0;
    for (int i = 0; i < 300; i++) {
      try (Connection connection = world.dataSource.getConnection();
          Statement statement = connection.createStatement()) {
        connection.setAutoCommit(false);
        last = number(statement, "SELECT pg_current_xact_id()::text::bigint");
        connection.rollback();
      }
    }
    return last;
  }

  @Test
  void messageIsDurableWhereOtherCommitsAreNot() throws Exception {
    world.execute("ALTER DATABASE %s SET synchronous_commit = off".formatted(name));
    world.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '%s' AND pid <> pg_backend_pid()"
            .formatted(name));
    world.dataSource.getHikariPoolMXBean().softEvictConnections();
    assertThat(world.text("SHOW synchronous_commit")).isEqualTo("off");
    world.publish(message(topic, "a", "1"));
    crash();
    assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(1);
    world.execute("SELECT lockstep_outbox_publish('%s', 'a', '2')".formatted(topic));
    crash();
    assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(2);
  }

  @Test
  void databaseThatWentBackStopsTheRelayInsteadOfItsMemory() throws Exception {
    world.publish(message(topic, "a", "1"));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.read(topic)).containsExactly("a=1"));
    }
    // as after a restore: the sequence hands out numbers that were published already
    world.execute("SELECT setval('lockstep_outbox_seq', 1, false)");
    world.execute("TRUNCATE lockstep_outbox");
    world.execute("ALTER SEQUENCE lockstep_outbox_seq MINVALUE 0 RESTART WITH 0");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(
          () ->
              assertThat(relay.health().faults().values())
                  .anySatisfy(fault -> assertThat(fault).contains("the database went back")));
    }
    world.execute("SELECT setval('lockstep_outbox_seq', 1)");
    world.execute("UPDATE lockstep_outbox_meta SET source = gen_random_uuid()");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(
          () ->
              assertThat(relay.health().faults().values())
                  .anySatisfy(fault -> assertThat(fault).contains("it belongs to outbox")));
    }
  }

  /** Execution 13: the legitimate owner is fenced, gave up, and nobody owned the shard any more. */
  @Test
  void relayThatWasFencedTakesItsShardBack() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().shards()).hasSize(4));
      for (int round = 1; round <= 3; round++) {
        for (int shard = 0; shard < 4; shard++) {
          fence(shard);
        }
        world.publish(message(topic, "a", "" + round), message(topic, "b", "" + round));
        int rows = 2 * round;
        soon(() -> assertThat(world.read(topic)).hasSize(rows));
      }
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
    }
  }

  @Test
  void databaseThatIsAwayIsToldAndCaughtUpWith() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      world.publish(message(topic, "a", "1"));
      soon(() -> assertThat(world.read(topic)).hasSize(1));
      for (int i = 2; i <= 4; i++) {
        crash();
        world.publish(message(topic, "a", "" + i));
      }
      soon(() -> assertThat(world.read(topic)).containsExactly("a=1", "a=2", "a=3", "a=4"));
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
    }
  }

  /** A backend that is killed takes the whole server through crash recovery. */
  private void crash() throws Exception {
    try (Connection connection = world.dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      Signals.send(number(statement, "SELECT pg_backend_pid()"), "KILL");
    }
    await()
        .atMost(Duration.ofSeconds(30))
        .ignoreExceptions()
        .until(
            () -> {
              try (Connection connection = world.dataSource.getConnection();
                  Statement statement = connection.createStatement()) {
                return number(statement, "SELECT 1") == 1;
              }
            });
  }

  private void fence(int shard) {
    Map<String, Object> settings = new HashMap<>(world.config.client());
    settings.put("transactional.id", "lockstep-outbox-" + world.options.name() + "-" + shard);
    try (KafkaProducer<byte[], byte[]> other =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      other.initTransactions();
    }
  }

  private static long number(Statement statement, String sql) throws SQLException {
    try (ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
    }
  }
}
