package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.ds.PGSimpleDataSource;

/** The primary dies and its standby is promoted, while relay and writers run. */
class StandbyIT {

  private static final int KEYS = 4;

  @TempDir static Path directory;
  private static KafkaCluster cluster;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void standbyThatHasAllCommitsTakesOverAndEverythingGoesOutOnceInOrder(boolean isFollowed)
      throws Exception {
    String name = isFollowed ? "followed" : "sync";
    try (PostgresServer primary =
            PostgresServer.start(directory.resolve(name + "-a"), TestDatabase.LOGICAL);
        PostgresServer standby = standby(primary, name)) {
      primary.commitOnStandby();
      try (OutboxWorld world =
          new OutboxWorld(cluster, primary.url(name, standby), name, isFollowed)) {
        String topic = world.createTopic(name, 1, Map.of());
        world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
        world.execute("CREATE TABLE account (key text PRIMARY KEY, version bigint NOT NULL)");
        for (int key = 0; key < KEYS; key++) {
          world.execute("INSERT INTO account VALUES ('k%d', 0)".formatted(key));
        }
        try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options);
            Writers writers = new Writers(world, topic)) {
          soon(
              () ->
                  assertThat(relay.health().shards().values())
                      .hasSize(4)
                      .containsOnly(isFollowed ? "FOLLOWING" : "STREAMING"));
          writers.eachCommits(30);

          primary.crash();
          standby.promote();

          writers.eachCommits(30);
          assertThat(writers.refused.get()).as("the primary was in use").isPositive();
          Map<String, Long> committed = writers.stop();
          soon(() -> assertVersions(world, topic, committed));
          soon(() -> assertThat(relay.health().isHealthy()).isTrue());
          assertThat(world.text("SELECT pg_walfile_name(pg_current_wal_lsn())"))
              .as("a real promotion")
              .startsWith("00000002");
        }
      }
    }
  }

  /**
   * Rows went out, their commits died with the primary, and their numbers are drawn again. Somebody
   * may take his time to promote the standby.
   */
  @ParameterizedTest
  @ValueSource(ints = {0, 25})
  void standbyThatLostPublishedCommitsStopsTheRelay(int minutesAgo) throws Exception {
    String name = "async" + minutesAgo;
    try (PostgresServer primary = PostgresServer.start(directory.resolve(name + "-a"));
        PostgresServer standby = standby(primary, name);
        OutboxWorld world = new OutboxWorld(cluster, primary.url(name, standby), name, false)) {
      String topic = world.createTopic(name, 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        insert(world, topic, "1", minutesAgo);
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1"));
        primary.awaitStandby();
        standby.stopReceiving();
        insert(world, topic, "lost", minutesAgo);
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1", "a=lost"));

        primary.crash();
        standby.promote();

        await()
            .atMost(Duration.ofSeconds(30))
            .ignoreExceptions()
            .until(() -> publishes(world.outbox, message(topic, "a", "2")));
        assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(2);
        soon(
            () ->
                assertThat(relay.health().faults().values())
                    .singleElement()
                    .asString()
                    .contains("the database went back (timeline 2): 1 of the 1 rows")
                    .contains("Nothing is published until OutboxAdmin.reconcile has compared"));
      }
      try (OutboxRelay another = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(another.health().faults()).hasSize(1));
      }
      assertThat(world.read(topic)).containsExactly("a=1", "a=lost");
    }
  }

  @Test
  void primaryThatNoLongerAnswersIsLeftForItsStandby() throws Exception {
    try (PostgresServer primary = PostgresServer.start(directory.resolve("silent-a"));
        PostgresServer standby = standby(primary, "silent");
        OutboxWorld world =
            new OutboxWorld(cluster, primary.url("silent", standby), "silent", false)) {
      // a pool would wait 5 s for each of its connections, the driver as long for TLS with each try
      PGSimpleDataSource single = new PGSimpleDataSource();
      single.setUrl(
          primary.url("silent", standby) + "&socketTimeout=3&sslmode=disable&gssEncMode=disable");
      Outbox outbox = new Outbox(single);
      String topic = world.createTopic("silent", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(outbox, world.options)) {
        outbox.inTransaction(tx -> tx.publish(message(topic, "a", "1")));
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1"));
        primary.awaitStandby();

        primary.freeze();
        soon(() -> assertThat(relay.health().faults()).hasSize(4));
        standby.promote();

        await()
            .atMost(Duration.ofSeconds(60))
            .ignoreExceptions()
            .until(() -> publishes(outbox, message(topic, "a", "2")));
        soon(() -> assertThat(world.read(topic)).containsExactly("a=1", "a=2"));
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      }
    }
  }

  private static void insert(OutboxWorld world, String topic, String value, int minutesAgo)
      throws SQLException {
    world.execute(
        "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload, created_at, segment)"
            + " SELECT 0, gen_random_uuid(), '%s', 'a', '%s', at,".formatted(topic, value)
            + " (extract(epoch FROM at)::bigint / segment_seconds) % segments"
            + " FROM lockstep_outbox_meta, (SELECT now() - interval '%d minutes' AS at) t"
                .formatted(minutesAgo));
  }

  /** The database is made before its standby. */
  private static PostgresServer standby(PostgresServer primary, String database) {
    var unused = primary.createDatabase(database);
    return primary.standby(directory.resolve(database + "-b"));
  }

  private static boolean publishes(Outbox outbox, OutboxMessage message) throws SQLException {
    outbox.inTransaction(tx -> tx.publish(message));
    return true;
  }

  private static void assertVersions(OutboxWorld world, String topic, Map<String, Long> committed) {
    Map<String, List<Long>> found = new HashMap<>();
    for (String record : world.read(topic)) {
      String[] parts = record.split("=", -1);
      found.computeIfAbsent(parts[0], key -> new ArrayList<>()).add(Long.parseLong(parts[1]));
    }
    committed.forEach(
        (key, last) ->
            assertThat(found.get(key))
                .as("versions of " + key)
                .isEqualTo(LongStream.rangeClosed(1, last).boxed().toList()));
  }

  /**
   * For each key, somebody who raises its version and publishes it every few ms; what fails is
   * tried again, from the version that the database has then.
   */
  private static final class Writers implements AutoCloseable {

    private final OutboxWorld world;
    private final String topic;
    private final ScheduledExecutorService threads = Executors.newScheduledThreadPool(KEYS);
    private final Map<String, Long> acknowledged = new ConcurrentHashMap<>();
    private final List<Future<?>> running = new ArrayList<>();
    private final AtomicInteger refused = new AtomicInteger();

    Writers(OutboxWorld world, String topic) {
      this.world = world;
      this.topic = topic;
      for (int key = 0; key < KEYS; key++) {
        String own = "k" + key;
        running.add(threads.scheduleWithFixedDelay(() -> write(own), 0, 5, TimeUnit.MILLISECONDS));
      }
    }

    private void write(String key) {
      try {
        long version =
            world.outbox.callInTransaction(
                tx -> {
                  long raised = raise(tx.connection(), key);
                  tx.publish(message(topic, key, "" + raised));
                  return raised;
                });
        assertThat(version)
            .as("what was acknowledged is kept")
            .isGreaterThan(acknowledged.getOrDefault(key, 0L));
        acknowledged.put(key, version);
      } catch (SQLException | OutboxException e) {
        // the primary is away: from the version that is there then
        refused.incrementAndGet();
      }
    }

    private static long raise(Connection connection, String key) throws SQLException {
      try (PreparedStatement update =
          connection.prepareStatement(
              "UPDATE account SET version = version + 1 WHERE key = ? RETURNING version")) {
        update.setString(1, key);
        try (ResultSet row = update.executeQuery()) {
          row.next();
          return row.getLong(1);
        }
      }
    }

    void eachCommits(int more) {
      for (int key = 0; key < KEYS; key++) {
        String own = "k" + key;
        long from = acknowledged.getOrDefault(own, 0L);
        await()
            .atMost(Duration.ofSeconds(30))
            .until(
                () ->
                    acknowledged.getOrDefault(own, 0L) >= from + more
                        || running.stream().anyMatch(Future::isDone));
        assertThat(running).as("writers go on").noneMatch(Future::isDone);
      }
    }

    /** Ends them; returns the last version of each key. */
    Map<String, Long> stop() throws InterruptedException {
      assertThat(running).as("writers go on").noneMatch(Future::isDone);
      close();
      assertThat(threads.awaitTermination(20, TimeUnit.SECONDS)).isTrue();
      Map<String, Long> last = new HashMap<>(acknowledged);
      last.replaceAll(
          (key, version) ->
              // one whose outcome is not known may be there beyond what was acknowledged
              world.number("SELECT version FROM account WHERE key = '%s'".formatted(key)));
      return last;
    }

    @Override
    public void close() {
      threads.shutdown();
    }
  }
}
