package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.TestDatabase.Kind;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.Savepoint;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.EnumSource.Mode;

/** Databases without snapshots: a row that is there is not published. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class PortableIT {

  private final Map<Kind, TestDatabase> databases = new EnumMap<>(Kind.class);
  private KafkaCluster cluster;
  private int worlds;

  @BeforeAll
  void startServers(@TempDir Path directory) {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    databases.put(Kind.MARIADB, TestDatabase.start(Kind.MARIADB, directory));
    databases.put(Kind.H2, TestDatabase.start(Kind.H2, directory));
  }

  @AfterAll
  void stopServers() {
    databases.values().forEach(TestDatabase::close);
    cluster.close();
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void committedMessagesArriveAsTheyWereAndLeaveNothingBehind(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 2, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      // a second start finds everything as it should be
      world.outbox.migrate();
      world.publish(
          message(topic, "a", "1").withHeader("who", "Zoë \"quoted\""),
          OutboxMessage.tombstone(topic, "a"),
          OutboxMessage.of(topic, (byte[]) null, bytes("keyless")).toPartition(1));
      assertThatThrownBy(
              () ->
                  world.outbox.inTransaction(
                      tx -> {
                        tx.publish(message(topic, "a", "rolled back"));
                        throw new IllegalStateException("no");
                      }))
          .hasMessage("no");
      world.outbox.inTransaction(
          tx -> {
            tx.publish(message(topic, "a", "2"));
            Savepoint savepoint = tx.connection().setSavepoint();
            tx.publish(message(topic, "a", "taken back"));
            tx.connection().rollback(savepoint);
          });
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.records(topic)).hasSize(4));
        assertThat(world.read(topic).stream().filter(r -> r.startsWith("a=")))
            .containsExactly("a=1", "a=null", "a=2");
        ConsumerRecord<byte[], byte[]> keyless =
            world.records(topic).stream().filter(r -> r.key() == null).findFirst().orElseThrow();
        assertThat(keyless.partition()).isEqualTo(1);
        assertThat(world.records(topic))
            .flatExtracting(r -> List.of(r.headers().toArray()))
            .anyMatch(
                header ->
                    header.key().equals("who")
                        && new String(header.value(), StandardCharsets.UTF_8)
                            .equals("Zoë \"quoted\""));
        soon(() -> assertThat(world.admin.status().rows()).isZero());
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void delayedMessageLeavesWhenItsTimeHasCome(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.publish(
          message(topic, "a", "later").notBefore(world.now().plusSeconds(2)),
          message(topic, "b", "later").notBefore(world.now().plusSeconds(2)),
          message(topic, "a", "much later").notBefore(world.now().plusSeconds(3_600)),
          message(topic, "a", "now"));
      assertThat(world.admin.status().scheduled()).isEqualTo(3);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(
            () ->
                assertThat(world.read(topic))
                    .containsExactlyInAnyOrder("a=now", "a=later", "b=later"));
        assertThat(relay.health().isHealthy()).isTrue();
        assertThat(world.admin.status().scheduled()).isEqualTo(1);
      }
    }
  }

  /** The contract for other languages: one INSERT that takes the lane from the registration. */
  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void plainSqlPublishesAndBadHeadersAreParkedAlone(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.PARK);
      insert(world, kind, topic, "good", "{\"who\": \"sql\"}");
      insert(world, kind, topic, "list", "[1, 2]");
      insert(world, kind, topic, "null", "{\"who\": null}");
      insert(world, kind, topic, "more", "{}");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).containsExactly("a=good", "a=more"));
        soon(() -> assertThat(world.admin.parked(10)).hasSize(2));
        assertThat(world.admin.parked(10))
            .extracting(ParkedRow::reason)
            .anyMatch(reason -> reason.contains("must be a JSON object of texts"))
            .anyMatch(reason -> reason.contains("header 'who' is null"));
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
  }

  /** Rows that Kafka has and the database still shows must not go out again. */
  @ParameterizedTest
  @EnumSource(
      mode = Mode.EXCLUDE,
      names = {"POSTGRESQL", "H2"})
  void rowsThatCouldNotBeDeletedAreNotPublishedAgain(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.execute(
          "CREATE TRIGGER stuck BEFORE DELETE ON lockstep_outbox FOR EACH ROW"
              + " SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'");
      world.publish(message(topic, "a", "1"), message(topic, "a", "2"));
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(
            () ->
                assertThat(relay.health().faults().values())
                    .anySatisfy(fault -> assertThat(fault).contains("not now")));
        assertThat(world.read(topic)).containsExactly("a=1", "a=2");
      }
      world.publish(message(topic, "a", "3"));
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(relay.health().faults()).isNotEmpty());
        world.execute("DROP TRIGGER stuck");
        soon(() -> assertThat(world.admin.status().rows()).isZero());
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      }
      assertThat(world.read(topic)).containsExactly("a=1", "a=2", "a=3");
    }
  }

  /** A DELETE by a list of rows may scan the table, and waits there for who is still writing. */
  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void openTransactionHoldsUpNoOther(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (Connection open = world.dataSource.getConnection();
          OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        open.setAutoCommit(false);
        world.outbox.publish(open, message(topic, "slow", "1"));
        for (int i = 0; i < 300; i++) {
          world.publish(message(topic, "k" + i, "x"));
        }
        soon(() -> assertThat(world.records(topic)).hasSize(300));
        soon(() -> assertThat(world.admin.status().rows()).isZero());
        assertThat(relay.health().isHealthy()).isTrue();
        open.commit();
        soon(() -> assertThat(world.records(topic)).hasSize(301));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void writersOfOneKeyWaitForEachOtherWhereTheyAskFor(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name(), 1, Map.of());
      Outbox strict = new Outbox(world.dataSource, KeyOrder.ADVISORY_LOCK);
      strict.register(topic, Lane.EXACTLY_ONCE, 0);
      List<CompletableFuture<Void>> writers = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        String value = "" + i;
        writers.add(
            CompletableFuture.runAsync(
                () -> {
                  try {
                    strict.inTransaction(
                        tx -> {
                          tx.publish(message(topic, "a", value));
                          tx.publish(message(topic, "b", value));
                        });
                  } catch (Exception e) {
                    throw new IllegalStateException(e);
                  }
                }));
      }
      writers.forEach(CompletableFuture::join);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).hasSize(40));
        assertThat(values(world, topic, "a")).isEqualTo(values(world, topic, "b"));
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = Mode.EXCLUDE, names = "POSTGRESQL")
  void numberOfShardsCanBeChangedWhileNothingWaits(Kind kind) throws Exception {
    try (OutboxWorld world = world(kind)) {
      String topic = world.createTopic(world.options.name() + "-t", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.publish(message(topic, "a", "1"));
      assertThatThrownBy(
              () -> world.admin.configure(3, 4, Duration.ofMinutes(1), "test", "too early"))
          .hasMessageContaining("lockstep_outbox has rows");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.admin.status().rows()).isZero());
        assertThat(relay.health().isHealthy()).isTrue();
      }
      world.admin.configure(3, 4, Duration.ofMinutes(1), "test", "more shards");
      world.kafka().deleteTopics(List.of(world.options.positionsTopic())).all().get();
      soon(
          () ->
              assertThat(world.kafka().listTopics().names().get())
                  .doesNotContain(world.options.positionsTopic()));
      world.createTopic(world.options.positionsTopic(), 6, Map.of("cleanup.policy", "compact"));
      world.execute("UPDATE lockstep_outbox_meta SET positions_topic_id = NULL");
      for (int i = 0; i < 30; i++) {
        world.publish(message(topic, "k" + i, "x"));
      }
      assertThat(world.number("SELECT count(DISTINCT shard) FROM lockstep_outbox")).isEqualTo(3);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options.withShards(3))) {
        soon(() -> assertThat(world.records(topic)).hasSize(31));
        assertThat(relay.health().shards()).hasSizeLessThanOrEqualTo(6);
      }
    }
  }

  private OutboxWorld world(Kind kind) throws Exception {
    String name = kind.name().toLowerCase(Locale.ROOT) + "_" + worlds++;
    return new OutboxWorld(cluster, databases.get(kind), name);
  }

  private static void insert(
      OutboxWorld world, Kind kind, String topic, String value, String headers) throws Exception {
    try (Connection connection = world.dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload, headers)"
                    + " SELECT lane, "
                    + (kind == Kind.H2 ? "random_uuid()" : "uuid()")
                    + ", topic, ?, ?, ? FROM lockstep_outbox_topic WHERE topic = ?")) {
      insert.setBytes(1, bytes("a"));
      insert.setBytes(2, bytes(value));
      insert.setString(3, headers);
      insert.setString(4, topic);
      assertThat(insert.executeUpdate()).isEqualTo(1);
    }
  }

  private static List<String> values(OutboxWorld world, String topic, String key) {
    return world.read(topic).stream()
        .filter(r -> r.startsWith(key + "="))
        .map(r -> r.substring(2))
        .toList();
  }
}
