package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.outbox.internal.relay.Positions;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/**
 * A relay's transaction was ended while a partition had no leader, and hangs there. Made to happen
 * for certain: the partition lives on one broker of three, which is dead when a producer with the
 * relay's transactional id ends a transaction that has written there what the relay would have.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class HangingIT {

  /** Dies and comes back. */
  private static final int VICTIM = 3;

  private enum End {
    COMMIT,
    ABORT
  }

  /** An outbox with {@code a=1} for each partition, in one transaction that hangs. */
  private final class Scene implements AutoCloseable {
    private final OutboxWorld world;
    private final String topic;
    private final End end;
    private final int partitions;
    private final List<TopicPartition> hanging = new ArrayList<>();
    private final KafkaProducer<byte[], byte[]> producer;

    /**
     * @param partitions of the topic
     * @param messages whether the last partition of their topic lives on the broker that dies
     * @param positions whether theirs does
     */
    Scene(
        TestDatabase database,
        String name,
        End end,
        int partitions,
        boolean messages,
        boolean positions)
        throws Exception {
      this.world = new OutboxWorld(cluster, database, name);
      this.end = end;
      this.topic = name;
      this.partitions = partitions;
      createTopic(messages);
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      publish("1");
      int shard = (int) world.number("SELECT DISTINCT shard FROM lockstep_outbox");
      if (positions) {
        moveToVictim(new TopicPartition(world.options.positionsTopic(), shard));
      }
      Map<String, Object> settings = world.config.client();
      settings.put(
          "transactional.id", "lockstep-outbox-%s-%d".formatted(world.options.name(), shard));
      // longer than it takes to make all scenes: a broker that lives would end it in time
      settings.put("transaction.timeout.ms", 600_000);
      this.producer =
          new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
      producer.initTransactions();
      producer.beginTransaction();
      send(shard);
      producer.flush();
    }

    private void createTopic(boolean onVictim) {
      if (!onVictim) {
        world.createTopic(topic, partitions, Map.of());
        return;
      }
      Map<Integer, List<Integer>> brokers = new HashMap<>();
      for (int i = 0; i < partitions - 1; i++) {
        brokers.put(i, List.of(1));
      }
      brokers.put(partitions - 1, List.of(VICTIM));
      KafkaCluster.createTopics(
          world.kafka(), new NewTopic(topic, brokers).configs(Map.of("min.insync.replicas", "1")));
      hanging.add(new TopicPartition(topic, partitions - 1));
    }

    private void publish(String value) throws SQLException {
      for (int i = 0; i < partitions; i++) {
        world.publish(message(topic, "a", value).toPartition(i));
      }
    }

    private void moveToVictim(TopicPartition partition) throws Exception {
      world
          .kafka()
          .incrementalAlterConfigs(
              Map.of(
                  new ConfigResource(ConfigResource.Type.TOPIC, partition.topic()),
                  List.of(
                      new AlterConfigOp(
                          new ConfigEntry("min.insync.replicas", "1"), AlterConfigOp.OpType.SET))))
          .all()
          .get();
      world
          .kafka()
          .alterPartitionReassignments(
              Map.of(partition, Optional.of(new NewPartitionReassignment(List.of(VICTIM)))))
          .all()
          .get();
      soon(
          () ->
              assertThat(describe(partition).replicas())
                  .hasSize(1)
                  .allMatch(node -> node.id() == VICTIM));
      hanging.add(partition);
    }

    private void send(int shard) throws SQLException {
      try (Connection connection = world.dataSource.getConnection();
          Statement statement = connection.createStatement()) {
        String source;
        try (ResultSet meta = statement.executeQuery("SELECT source FROM lockstep_outbox_meta")) {
          meta.next();
          source = meta.getString(1);
        }
        long seq = 0;
        UUID id = null;
        try (ResultSet row =
            statement.executeQuery("SELECT seq, id FROM lockstep_outbox ORDER BY seq")) {
          for (int i = 0; row.next(); i++) {
            seq = row.getLong("seq");
            id = Dialect.of(connection).id(row, 2);
            ProducerRecord<byte[], byte[]> record =
                new ProducerRecord<>(topic, i, bytes("a"), bytes("1"));
            record
                .headers()
                .add(
                    LockstepHeaders.ROW,
                    bytes(new RowSource(UUID.fromString(source), shard, 1, 1, id).format()));
            producer.send(record);
          }
        }
        // it names the last row only, as behind a last page of one row
        producer.send(
            new ProducerRecord<>(
                world.options.positionsTopic(),
                shard,
                bytes("" + shard),
                Positions.behind(connection, source, seq, id)));
      }
    }

    void awaitNoLeader() {
      for (TopicPartition partition : hanging) {
        soon(() -> assertThat(describe(partition).leader()).matches(HangingIT::isNobody));
      }
    }

    void end() {
      if (end == End.COMMIT) {
        producer.commitTransaction();
      } else {
        producer.abortTransaction();
      }
      producer.close();
    }

    /** Else this test would show nothing. */
    void awaitHanging() {
      for (TopicPartition partition : hanging) {
        soon(() -> assertThat(describe(partition).leader()).matches(leader -> !isNobody(leader)));
        assertThat(isOpen(partition)).as("open in %s", partition).isTrue();
      }
    }

    boolean isOpen(TopicPartition partition) throws AssertionError {
      try {
        return world
            .kafka()
            .describeProducers(List.of(partition))
            .partitionResult(partition)
            .get()
            .activeProducers()
            .stream()
            .anyMatch(producer -> producer.currentTransactionStartOffset().isPresent());
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }

    private TopicPartitionInfo describe(TopicPartition partition) throws Exception {
      return world
          .kafka()
          .describeTopics(List.of(partition.topic()))
          .allTopicNames()
          .get()
          .get(partition.topic())
          .partitions()
          .get(partition.partition());
    }

    /** What everything is about: each message once, and readers go on. */
    void assertGoesOn() throws Exception {
      publish("2");
      List<String> expected = new ArrayList<>();
      for (int i = 0; i < partitions; i++) {
        expected.addAll(List.of("a=1", "a=2"));
      }
      // a topic is read partition by partition
      soon(() -> assertThat(world.read(topic)).hasSameElementsAs(expected).hasSameSizeAs(expected));
      if (partitions == 1) {
        assertThat(world.read(topic)).containsExactlyElementsOf(expected);
      }
      for (TopicPartition partition : hanging) {
        soon(() -> assertThat(isOpen(partition)).isFalse());
      }
    }

    @Override
    public void close() {
      world.close();
    }
  }

  private static boolean isNobody(Node leader) {
    return leader == null || leader.isEmpty();
  }

  private final Map<String, Scene> scenes = new HashMap<>();
  private KafkaCluster cluster;
  private TestDatabase postgres;
  private TestDatabase h2;

  @BeforeAll
  void leaveTransactionsHanging(@TempDir Path directory) throws Exception {
    cluster =
        KafkaCluster.startGuarded(directory, 3, BrokerProfile.TUNED, Map.of("relay", "secret"));
    postgres = TestDatabase.start(TestDatabase.Kind.POSTGRESQL, directory);
    h2 = TestDatabase.start(TestDatabase.Kind.H2, directory);
    add(postgres, "aborted", End.ABORT, true, false);
    add(postgres, "committed", End.COMMIT, true, false);
    add(postgres, "position_committed", End.COMMIT, false, true);
    add(postgres, "position_aborted", End.ABORT, false, true);
    scenes.put("position_tail", new Scene(postgres, "position_tail", End.COMMIT, 2, true, true));
    add(postgres, "all_hang", End.COMMIT, true, true);
    add(postgres, "denied", End.ABORT, true, false);
    add(postgres, "reconciled", End.COMMIT, true, false);
    add(h2, "visible_aborted", End.ABORT, true, true);
    add(h2, "visible_deleted", End.COMMIT, true, true);
    cluster.node(VICTIM).kill();
    scenes.values().forEach(Scene::awaitNoLeader);
    scenes.values().forEach(Scene::end);
    cluster.node(VICTIM).restart();
    cluster.awaitReady();
    scenes.values().forEach(Scene::awaitHanging);
  }

  private void add(TestDatabase database, String name, End end, boolean messages, boolean positions)
      throws Exception {
    scenes.put(name, new Scene(database, name, end, 1, messages, positions));
  }

  @AfterAll
  void stopServers() {
    scenes.values().forEach(Scene::close);
    h2.close();
    postgres.close();
    cluster.close();
  }

  @Test
  void abortedRowsComeOnceAndReadersGoOn() throws Exception {
    assertComesOnce("aborted");
  }

  @Test
  void abortedRowsOfVisibleRowsComeOnce() throws Exception {
    assertComesOnce("visible_aborted");
  }

  /** Its rows are visible in a partition that did hear of the commit. */
  @Test
  void positionThatHangsAndWasCommittedHolds() throws Exception {
    assertComesOnce("position_committed");
  }

  @Test
  void positionThatHangsAndWasAbortedDoesNotHold() throws Exception {
    assertComesOnce("position_aborted");
  }

  /** Nobody has seen any of it: it is as good as aborted. */
  @Test
  void transactionThatHangsInAllItsPartitionsIsSentAgain() throws Exception {
    assertComesOnce("all_hang");
  }

  private void assertComesOnce(String name) throws Exception {
    Scene scene = scenes.get(name);
    try (OutboxRelay relay = OutboxRelay.start(scene.world.outbox, scene.world.options)) {
      soon(() -> assertThat(scene.world.read(scene.topic)).containsExactly("a=1"));
      scene.assertGoesOn();
      assertThat(relay.health().notes()).isEmpty();
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void committedRowsAreKeptAndComeWithTheNextMessage() throws Exception {
    assertIsKept(scenes.get("committed"));
  }

  /** The relay deleted the row behind its commit: it is nowhere else. */
  @Test
  void committedRowsThatAreDeletedAreKept() throws Exception {
    Scene scene = scenes.get("visible_deleted");
    scene.world.execute("DELETE FROM lockstep_outbox");
    assertIsKept(scene);
  }

  /**
   * The position names the last page's rows, and these hang together with it: what was committed
   * elsewhere tells that it holds. Found by a critic when pages came to share a transaction.
   */
  @Test
  void positionHoldsWhereOnlyRowsOfEarlierPagesAreVisible() throws Exception {
    assertIsKept(scenes.get("position_tail"));
  }

  private static void assertIsKept(Scene scene) throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(scene.world.outbox, scene.world.options)) {
      soon(
          () ->
              assertThat(relay.health().notes())
                  .singleElement()
                  .asString()
                  .contains("%s-%d stand at offset 0".formatted(scene.topic, scene.partitions - 1))
                  .contains("do not abort it"));
      assertThat(relay.health().isHealthy()).isTrue();
      // what does not hang was shown by its commit
      assertThat(scene.world.read(scene.topic))
          .containsExactlyElementsOf(Collections.nCopies(scene.partitions - 1, "a=1"));
      scene.assertGoesOn();
      soon(() -> assertThat(relay.health().notes()).isEmpty());
    }
  }

  /** Rights of the reference, and READ on the topic. */
  @Test
  void relayThatMayNotEndItSaysWhatToDoAndSendsNothing() throws Exception {
    Scene scene = scenes.get("denied");
    String name = scene.world.options.name();
    AclBinding read = right(ResourceType.TOPIC, scene.topic, AclOperation.READ);
    allow(
        scene,
        right(ResourceType.TRANSACTIONAL_ID, "lockstep-outbox-" + name, AclOperation.WRITE),
        right(ResourceType.TOPIC, scene.world.options.positionsTopic(), AclOperation.ALL),
        right(ResourceType.GROUP, "lockstep-outbox-" + name, AclOperation.READ),
        right(ResourceType.TOPIC, scene.topic, AclOperation.WRITE),
        read);
    RelayOptions options =
        RelayOptions.of(
                new LockstepConfig(
                    cluster.guardedBootstrapServers(), "", KafkaCluster.login("relay", "secret")),
                name)
            .withLongestPoll(Duration.ofMillis(50));
    try (OutboxRelay relay = OutboxRelay.start(scene.world.outbox, options)) {
      soon(
          () ->
              assertThat(relay.health().faults().values())
                  .singleElement()
                  .asString()
                  .contains("hangs in denied-0 from offset 0 on")
                  .contains("grant this relay ALTER on the cluster")
                  .contains("abort --topic denied --partition 0 --start-offset 0"));
      assertThat(relay.health().notes()).isEmpty();
      allow(scene, right(ResourceType.CLUSTER, "kafka-cluster", AclOperation.ALTER));
      scene.assertGoesOn();
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
    }
    scene.world.kafka().deleteAcls(List.of(read.toFilter())).all().get();
    try (OutboxRelay relay = OutboxRelay.start(scene.world.outbox, options)) {
      soon(
          () ->
              assertThat(relay.health().notes())
                  .singleElement()
                  .asString()
                  .contains("[denied]")
                  .contains("grant READ"));
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  private static AclBinding right(ResourceType type, String name, AclOperation operation) {
    return new AclBinding(
        new ResourcePattern(
            type,
            name,
            type == ResourceType.TRANSACTIONAL_ID ? PatternType.PREFIXED : PatternType.LITERAL),
        new AccessControlEntry("User:relay", "*", operation, AclPermissionType.ALLOW));
  }

  private static void allow(Scene scene, AclBinding... rights) throws Exception {
    scene.world.kafka().createAcls(List.of(rights)).all().get();
  }

  /** Nobody writes to its partition: an operator does not wait. */
  @Test
  void reconcileEndsItAndSendsWhatIsAbsent() throws Exception {
    Scene scene = scenes.get("reconciled");
    ReconcileReport report =
        scene.world.admin.reconcile(
            scene.world.options, ReconcileRequest.defaults(), "test", "hangs", line -> {});
    assertThat(report.sent()).isEqualTo(1);
    assertThat(scene.world.read(scene.topic)).containsExactly("a=1");
    try (OutboxRelay relay = OutboxRelay.start(scene.world.outbox, scene.world.options)) {
      scene.assertGoesOn();
      assertThat(relay.health().notes()).isEmpty();
    }
  }
}
