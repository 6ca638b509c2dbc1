package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.ChildJvm;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** Databases that were restored or moved, and positions that were lost. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ReconcileIT {

  private static final List<String> TABLES =
      List.of(
          "lockstep_outbox_meta",
          "lockstep_outbox_topic",
          "lockstep_outbox",
          "lockstep_outbox_parked",
          "lockstep_outbox_blocked",
          "lockstep_outbox_owner",
          "lockstep_outbox_operation",
          "lockstep_outbox_scheduled");

  private Path directory;
  private KafkaCluster cluster;
  private PostgresServer postgres;

  @BeforeAll
  void startServers(@TempDir Path temporary) {
    directory = temporary;
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  void stopServers() {
    postgres.close();
    cluster.close();
  }

  /**
   * The files are those of a stopped server, so that it hands out the same ids and numbers again.
   */
  @ParameterizedTest
  @EnumSource(Lane.class)
  void databaseThatWasRestoredPublishesWhatIsNewAndTellsWhatItLost(Lane lane) throws Exception {
    String name = "restored_" + lane.name().toLowerCase(Locale.ROOT);
    Path files = directory.resolve(name);
    Path backup = directory.resolve(name + "_backup");
    String topic;
    List<UUID> lost = new ArrayList<>();
    Instant backedUp;
    OutboxWorld first;
    try (PostgresServer server = PostgresServer.start(files);
        OutboxWorld world = new OutboxWorld(cluster, server, name)) {
      first = world;
      topic = world.createTopic(name, 1, Map.of());
      world.outbox.register(topic, lane, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 5);
        soon(() -> assertThat(world.readOnce(topic)).hasSize(5));
      }
      publish(world, topic, 6, 8);
      world.publish(message(topic, "a", "later").notBefore(world.now()));
      world.execute(
          "BEGIN; SELECT lockstep_outbox_publish('%s', 'a', 'prepared'); PREPARE TRANSACTION 'p'"
              .formatted(topic));
      backedUp = world.now();
    }
    copy(files, backup);
    List<String> handled = new CopyOnWriteArrayList<>();
    try (TestDatabase readers =
            TestDatabase.start(TestDatabase.Kind.H2, files.resolveSibling(name + "_h2"));
        OutboxWorld reader = new OutboxWorld(cluster, readers, name + "_reader");
        InboxConsumer consumer =
            InboxConsumer.start(
                reader.outbox,
                InboxOptions.of(reader.config, name, Mode.IDS, topic),
                (tx, record) -> handled.add(text(record.value())))) {
      try (PostgresServer server = PostgresServer.start(files);
          OutboxWorld world = first.in(server.url(name));
          OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(handled).hasSize(9));
        world.execute("COMMIT PREPARED 'p'");
        soon(() -> assertThat(handled).hasSize(10));
        for (int i = 9; i <= 12; i++) {
          OutboxMessage message = message(topic, "a", "" + i);
          lost.add(message.id());
          world.publish(message);
        }
        soon(() -> assertThat(handled).hasSize(14));
        soon(() -> assertThat(world.admin.status().scheduled()).isZero());
      }
      try (PostgresServer server = PostgresServer.start(backup);
          OutboxWorld world = first.in(server.url(name));
          OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(
            () ->
                assertThat(relay.health().faults().values())
                    .anySatisfy(
                        fault ->
                            assertThat(fault)
                                .contains("the database went back")
                                .contains("OutboxAdmin.reconcile")));
        publish(world, topic, 13, 15);
        assertThatThrownBy(() -> world.admin.truncatePublished(world.options))
            .as("rows that look published by a position of another history")
            .hasMessageContaining("went back");
        assertThatThrownBy(() -> reconcile(world))
            .as("its rows were published, and would come as new ones")
            .hasMessageContaining("are open, and positions say that their ids were published");
        world.execute("COMMIT PREPARED 'p'");
        // what is due is moved into the ledger once more, unless that happened already
        ReconcileReport report = restored(world.admin, world.options, backedUp);
        assertThat(report.lostRows()).extracting(ReconcileReport.LostRow::id).isEqualTo(lost);
        assertThat(report.lost()).isEqualTo(4);
        assertThat(report.lostRows().get(0).topic()).isEqualTo(topic);
        assertThat(report.lostSince()).isPresent();
        assertThat(report.sent()).isEqualTo(3);
        assertThat(report.rows()).isEqualTo(report.published() + 3);
        assertThat(report.published() + report.returned()).isEqualTo(10);
        publish(world, topic, 16, 17);
        List<String> all =
            Stream.concat(
                    Stream.concat(numbers(1, 8), Stream.of("a=later", "a=prepared")),
                    numbers(9, 17))
                .toList();
        soon(
            () ->
                assertThat(lane == Lane.EXPRESS ? world.readOnce(topic) : world.read(topic))
                    .isEqualTo(all));
        soon(() -> assertThat(handled).hasSize(19));
        if (lane == Lane.EXACTLY_ONCE) {
          assertThat(consumer.health().repeats()).isZero();
        }
        assertThat(handled).doesNotHaveDuplicates();
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
        assertThat(world.number("SELECT min(seq) FROM lockstep_outbox WHERE payload = '16'"))
            .isGreaterThan(10_000);

        assertThat(reconcile(world).sent()).isZero();
        publish(world, topic, 18, 18);
        soon(() -> assertThat(handled).hasSize(20).doesNotHaveDuplicates());
        assertThat(
                world.number(
                    "SELECT count(*) FROM lockstep_outbox_operation"
                        + " WHERE principal = 'test' AND operation LIKE 'reconcile%'"))
            .as("begun, begun and ended, begun and ended")
            .isEqualTo(5);
      }
    }
  }

  /** Rows bring transaction ids along that the other server has yet to hand out. */
  @Test
  void ledgerThatWasMovedByDumpAndRestoreGoesOn() throws Exception {
    OutboxWorld first;
    Map<String, byte[]> dump = new HashMap<>();
    long sequence;
    String topic;
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "moved")) {
      first = world;
      topic = world.createTopic("moved", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      burnIds(world, 3_000);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 3);
        soon(() -> assertThat(world.read(topic)).hasSize(3));
      }
      publish(world, topic, 4, 5);
      sequence = world.number("SELECT last_value FROM lockstep_outbox_seq");
      for (String table : TABLES) {
        ByteArrayOutputStream rows = new ByteArrayOutputStream();
        try (Connection connection = world.dataSource.getConnection()) {
          copyManager(connection)
              .copyOut(
                  "COPY (SELECT %s FROM %s) TO STDOUT".formatted(columns(world, table), table),
                  rows);
        }
        dump.put(table, rows.toByteArray());
      }
    }
    try (PostgresServer other = PostgresServer.start(directory.resolve("moved_pg"));
        OutboxWorld world = first.in(other.createDatabase("moved"))) {
      world.outbox.migrate();
      for (String table : TABLES) {
        world.execute("TRUNCATE " + table);
        try (Connection connection = world.dataSource.getConnection()) {
          long unused =
              copyManager(connection)
                  .copyIn(
                      "COPY %s (%s) FROM STDIN".formatted(table, columns(world, table)),
                      new ByteArrayInputStream(dump.get(table)));
        }
      }
      world.execute("SELECT setval('lockstep_outbox_seq', %d)".formatted(sequence));
      assertThat(
              world.number(
                  "SELECT count(*) FROM lockstep_outbox"
                      + " WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())"))
          .as("rows of transactions that are yet to come")
          .isEqualTo(5);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(
            () ->
                assertThat(relay.health().faults().values())
                    .anySatisfy(
                        fault ->
                            assertThat(fault).contains("moved to another PostgreSQL cluster")));
        ReconcileReport report = reconcile(world);
        assertThat(report.published()).isEqualTo(3);
        assertThat(report.sent()).isEqualTo(2);
        assertThat(report.lost()).isZero();
        publish(world, topic, 6, 6);
        soon(() -> assertThat(world.read(topic)).hasSize(6));
        burnIds(world, 6_000);
        publish(world, topic, 7, 7);
        soon(() -> assertThat(world.read(topic)).isEqualTo(numbers(1, 7).toList()));
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      }
    }
  }

  @Test
  void positionsThatWereLostAreMadeAnewAndWhatWaitsAsideStaysThere() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "positions")) {
      String topic = world.createTopic("positions", 1, Map.of("max.message.bytes", "100000"));
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      OutboxMessage tooLarge = OutboxMessage.of(topic, "c", new byte[200_000]);
      OutboxMessage dropped = message(topic, "d", "dropped").toPartition(7);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 3);
        world.publish(tooLarge, message(topic, "c", "behind"), dropped);
        soon(() -> assertThat(world.admin.parked(9)).hasSize(3));
        assertThat(world.admin.discard(dropped.id(), "test", "not wanted")).isTrue();
        assertThat(world.admin.unblock(topic, bytes("d"), "test", "dropped")).isTrue();
        soon(() -> assertThat(world.admin.blocked(9)).hasSize(1));
        soon(() -> assertThat(world.read(topic)).hasSize(3));
      }
      publish(world, topic, 4, 5);
      world.publish(message(topic, "c", "behind that"));
      world.kafka().deleteTopics(List.of(world.options.positionsTopic())).all().get();
      soon(
          () ->
              assertThat(world.kafka().listTopics().names().get())
                  .doesNotContain(world.options.positionsTopic()));
      world.createPositions();
      assertThatThrownBy(() -> OutboxRelay.start(world.outbox, world.options))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("OutboxAdmin.reconcile");

      ReconcileReport report = reconcile(world);
      assertThat(report.sent()).isEqualTo(2);
      assertThat(report.aside()).isEqualTo(3);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 6, 6);
        soon(() -> assertThat(world.read(topic)).isEqualTo(numbers(1, 6).toList()));
        assertThat(world.admin.discard(tooLarge.id(), "test", "too large")).isTrue();
        assertThat(world.admin.unblock(topic, bytes("c"), "test", "the rest")).isTrue();
        soon(() -> assertThat(world.read(topic)).hasSize(8).endsWith("c=behind", "c=behind that"));
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      }
    }
  }

  /** Published by hand while the restored table says that it waits. */
  @Test
  void rowThatWaitsAsideAlthoughItWasPublishedLeaves() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "returned")) {
      String topic = world.createTopic("returned", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.execute("CREATE TABLE backup AS SELECT * FROM lockstep_outbox_parked");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        world.publish(message(topic, "a", "1").toPartition(1), message(topic, "a", "2"));
        soon(() -> assertThat(world.admin.parked(9)).hasSize(2));
        world.execute("INSERT INTO backup SELECT * FROM lockstep_outbox_parked");
        world.kafka().createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all().get();
        soon(
            () -> {
              boolean unused = world.admin.unblock(topic, bytes("a"), "test", "partition is there");
              assertThat(world.admin.parked(9)).isEmpty();
            });
        soon(() -> assertThat(world.read(topic)).hasSize(2));
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
        world.admin.pause("test", "restored");
        soon(() -> assertThat(relay.health().shards().values()).containsOnly("PAUSED"));
        world.execute("INSERT INTO lockstep_outbox_parked SELECT * FROM backup");
        ReconcileReport report = reconcile(world);
        assertThat(report.returned()).isEqualTo(2);
        assertThat(report.aside()).isZero();
        world.admin.resume("test", "reconciled");
        world.publish(message(topic, "a", "3"));
        soon(() -> assertThat(world.read(topic)).hasSize(3));
      }
    }
  }

  /** A process that is killed again and again, beside relays that want the shards. */
  @ParameterizedTest
  @EnumSource(Lane.class)
  void reconcileThatIsKilledIsRunAgain(Lane lane) throws Exception {
    String name = "killed_" + lane.name().toLowerCase(Locale.ROOT);
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, name)) {
      String topic = world.createTopic(name, 1, Map.of());
      world.outbox.register(topic, lane, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 100);
        soon(() -> assertThat(world.readOnce(topic)).hasSize(100));
        world.admin.pause("test", "for a backlog");
        soon(() -> assertThat(relay.health().shards().values()).containsOnly("PAUSED"));
        publish(world, topic, 101, 2_000);
        for (int round = 1; round <= 4; round++) {
          int least = 100 + 150 * round;
          try (ChildJvm child = reconcileElsewhere(world, round)) {
            await()
                .atMost(Duration.ofSeconds(60))
                .until(() -> world.readOnce(topic).size() >= least || !child.isAlive());
            assertThat(child.isAlive()).as(Files.readString(child.output())).isTrue();
            child.kill();
          }
        }
        world.admin.resume("test", "relays may, but must not");
        int before = world.readOnce(topic).size();
        assertThat(before).isBetween(700, 1_999);
        assertThatThrownBy(() -> OutboxRelay.start(world.outbox, world.options))
            .hasMessageContaining("a reconcile ended halfway");
        ReconcileReport report = reconcile(world);
        assertThat(report.lost()).isZero();
        assertThat(report.sent() + report.published()).isEqualTo(2_000);
        publish(world, topic, 2_001, 2_010);
        List<String> all = numbers(1, 2_010).toList();
        soon(
            () ->
                assertThat(lane == Lane.EXPRESS ? world.readOnce(topic) : world.read(topic))
                    .isEqualTo(all));
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      }
    }
  }

  @Test
  void reconcileThatEndsAtAnyPointIsRunAgain() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "anywhere")) {
      String topic = world.createTopic("anywhere", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 3);
        soon(() -> assertThat(world.read(topic)).hasSize(3));
      }
      int published = 3;
      boolean ended = false;
      for (int most = 0; !ended; most++) {
        publish(world, topic, published + 1, published + 2);
        published += 2;
        List<String> lines = new ArrayList<>();
        int last = most;
        try {
          ReconcileReport unused =
              world.admin.reconcile(
                  world.options,
                  ReconcileRequest.defaults(),
                  "test",
                  "test",
                  line -> {
                    lines.add(line);
                    if (lines.size() > last) {
                      throw new IllegalStateException("ended");
                    }
                  });
          ended = true;
        } catch (IllegalStateException e) {
          assertThat(e).hasMessage("ended");
        }
      }
      publish(world, topic, published + 1, published + 1);
      List<String> all = numbers(1, published + 1).toList();
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).isEqualTo(all));
      }
    }
  }

  @Test
  void laterRunStopsAnEarlierOne() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "rivals")) {
      String topic = world.createTopic("rivals", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      publish(world, topic, 1, 5);
      List<ReconcileReport> later = new ArrayList<>();
      assertThatThrownBy(
              () ->
                  world.admin.reconcile(
                      world.options,
                      ReconcileRequest.defaults(),
                      "test",
                      "the earlier one",
                      line -> {
                        if (line.startsWith("read") && later.isEmpty()) {
                          try {
                            later.add(reconcile(world));
                          } catch (SQLException e) {
                            throw new IllegalStateException(e);
                          }
                        }
                      }))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("Another reconcile has begun");
      assertThat(later).singleElement().extracting(ReconcileReport::sent).isEqualTo(5L);
      publish(world, topic, 6, 6);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).isEqualTo(numbers(1, 6).toList()));
      }
    }
  }

  @Test
  void rowsOfATopicThatIsGoneWaitForIt() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "gone")) {
      String topic = world.createTopic("gone", 1, Map.of());
      String other = world.createTopic("not-gone", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.outbox.register(other, Lane.EXACTLY_ONCE, 0);
      OutboxRelay.start(world.outbox, world.options).close();
      publish(world, topic, 1, 2);
      publish(world, other, 1, 2);
      world.kafka().deleteTopics(List.of(topic)).all().get();
      soon(() -> assertThat(world.kafka().listTopics().names().get()).doesNotContain(topic));
      ReconcileReport report = reconcile(world);
      assertThat(report.sent()).isEqualTo(2);
      assertThat(report.aside()).isEqualTo(2);
      assertThat(world.read(other)).isEqualTo(numbers(1, 2).toList());
      world.createTopic(topic, 1, Map.of());
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 3, 3);
        soon(() -> assertThat(world.read(topic)).isEqualTo(numbers(1, 3).toList()));
      }
    }
  }

  /** What stands behind a transaction that is open counts as published when that has ended. */
  @Test
  void openTransactionOfSomebodyElseIsWaitedFor() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "waited")) {
      String topic = world.createTopic("waited", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      Map<String, Object> settings = new HashMap<>(world.config.client());
      settings.put("transactional.id", "somebody");
      settings.put("transaction.timeout.ms", 6_000);
      try (KafkaProducer<byte[], byte[]> somebody =
              new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
          OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        somebody.initTransactions();
        somebody.beginTransaction();
        somebody.send(new ProducerRecord<>(topic, bytes("x"), bytes("never"))).get();
        publish(world, topic, 1, 3);
        soon(() -> assertThat(relay.stats().rows()).isEqualTo(3));
        assertThat(reconcile(world).published()).isEqualTo(3);
      }
      assertThat(world.read(topic)).isEqualTo(numbers(1, 3).toList());
    }
  }

  @Test
  void topicThatDoesNotReachBackIsRefusedUnlessOldRowsCountAsPublished() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "reach")) {
      String topic = world.createTopic("reach", 1, Map.of("retention.bytes", "100000000"));
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 3);
        soon(() -> assertThat(world.read(topic)).hasSize(3));
        deleteRecords(world, topic, 2);
        assertThatThrownBy(() -> reconcile(world))
            .isInstanceOf(OutboxException.class)
            .hasMessageContaining("reach-0 reaches back to")
            .hasMessageContaining("publishedBefore");
        publish(world, topic, 4, 4);
        soon(() -> assertThat(world.read(topic)).as("nothing was changed").endsWith("a=4"));
      }
      // that is later than any row
      ReconcileReport report =
          world.admin.reconcile(
              world.options,
              ReconcileRequest.defaults()
                  .withPublishedBefore(world.now().plus(Duration.ofMinutes(11))),
              "test",
              "test",
              line -> {});
      assertThat(report.published()).isEqualTo(4);
      assertThat(report.sent()).isZero();
      publish(world, topic, 5, 5);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).containsExactly("a=3", "a=4", "a=5"));
      }
    }
  }

  @Test
  void rowThatMayBeCompactedAwayDoesNotSetItsKeyBack() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "compacted")) {
      String topic = world.createTopic("compacted", 1, Map.of("cleanup.policy", "compact,delete"));
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        world.publish(message(topic, "a", "1"));
        soon(() -> assertThat(world.read(topic)).hasSize(1));
        world.publish(message(topic, "b", "1"));
        soon(() -> assertThat(world.read(topic)).hasSize(2));
        world.publish(message(topic, "a", "2"));
        soon(() -> assertThat(world.read(topic)).hasSize(3));
        deleteRecords(world, topic, 4);
        assertThat(world.read(topic)).containsExactly("a=2");
        ReconcileReport report = reconcile(world);
        assertThat(report.superseded()).isEqualTo(1);
        assertThat(report.sent()).isEqualTo(1);
        assertThat(world.read(topic)).containsExactly("a=2", "b=1");
      }
    }
  }

  @Test
  void databaseWithoutSnapshotsSaysWhatToDoInstead() throws Exception {
    try (TestDatabase h2 = TestDatabase.start(TestDatabase.Kind.H2, directory.resolve("portable"));
        OutboxWorld world = new OutboxWorld(cluster, h2, "portable")) {
      assertThatThrownBy(() -> reconcile(world))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("it keeps no row that is published");
      assertThat(world.text("SELECT positions_topic_id FROM lockstep_outbox_meta")).isNull();
    }
  }

  /** As after a restore from a time at which segments were just truncated. */
  @Test
  void lossesAreKnownWithoutARowWhenTheTimeOfTheRestoreIs() throws Exception {
    try (OutboxWorld world = new OutboxWorld(cluster, postgres, "emptied")) {
      String topic = world.createTopic("emptied", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      Instant before = world.now();
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        publish(world, topic, 1, 3);
        soon(() -> assertThat(world.read(topic)).hasSize(3));
      }
      world.execute("TRUNCATE lockstep_outbox");
      world.execute("SELECT setval('lockstep_outbox_seq', 1)");
      ReconcileReport blind = reconcile(world);
      assertThat(blind.lost()).isZero();
      assertThat(blind.lostSince()).isEmpty();
      ReconcileReport report = restored(world.admin, world.options, before);
      assertThat(report.lost()).isEqualTo(3);
      assertThat(report.lostSince()).contains(before);
      publish(world, topic, 4, 4);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.read(topic)).isEqualTo(numbers(1, 4).toList()));
      }
    }
  }

  private static ReconcileReport restored(OutboxAdmin admin, RelayOptions options, Instant backup)
      throws SQLException {
    // tag::reconcile[]
    ReconcileReport report =
        admin.reconcile(
            options,
            ReconcileRequest.defaults().withRestoredTo(backup),
            "test",
            "restored after the loss of a disk",
            System.out::println);
    report.lostRows().forEach(System.out::println);
    // end::reconcile[]
    return report;
  }

  private static ReconcileReport reconcile(OutboxWorld world) throws SQLException {
    return world.admin.reconcile(
        world.options, ReconcileRequest.defaults(), "test", "test", line -> {});
  }

  private ChildJvm reconcileElsewhere(OutboxWorld world, int round) {
    return ChildJvm.start(
        "reconcile-" + round,
        directory.resolve(world.options.name() + "-" + round + ".log"),
        List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        ReconcileMain.class.getName(),
        List.of(cluster.bootstrapServers(), world.options.name(), world.dataSource.getJdbcUrl()));
  }

  private static void publish(OutboxWorld world, String topic, int from, int to)
      throws SQLException {
    for (int i = from; i <= to; i++) {
      world.publish(message(topic, "a", "" + i));
    }
  }

  private static Stream<String> numbers(int from, int to) {
    return IntStream.rangeClosed(from, to).mapToObj(i -> "a=" + i);
  }

  private static void deleteRecords(OutboxWorld world, String topic, long before) throws Exception {
    world
        .kafka()
        .deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(before)))
        .all()
        .get();
  }

  /** Ids of transactions; each commit takes one. */
  private static void burnIds(OutboxWorld world, int count) throws SQLException {
    world.execute(
        "DO $$ BEGIN FOR i IN 1 .. %d LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            .formatted(count));
  }

  private static CopyManager copyManager(Connection connection) throws SQLException {
    return connection.unwrap(PGConnection.class).getCopyAPI();
  }

  /** As in a dump: without those that are computed. */
  private static String columns(OutboxWorld world, String table) throws SQLException {
    return world.text(
        "SELECT string_agg(column_name, ',' ORDER BY ordinal_position)"
            + " FROM information_schema.columns WHERE is_generated = 'NEVER' AND table_name = '"
            + table
            + "'");
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : new TreeSet<>(files.toList())) {
        Files.copy(file, to.resolve(from.relativize(file)), StandardCopyOption.COPY_ATTRIBUTES);
      }
    }
  }

  private static String text(byte[] value) {
    return new String(value, StandardCharsets.UTF_8);
  }
}
