package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.fixture.Tally;
import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.kernel.fixture.TallyWorld;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Faults of brokers, topics and records, each against a host in this process. */
class HostFaultsIT {

  private static final Duration SOON = Duration.ofSeconds(30);

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static Admin admin;

  private TallyWorld world;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()));
  }

  @AfterAll
  static void stopBroker() {
    admin.close();
    cluster.close();
  }

  @BeforeEach
  void createTopics(TestInfo info) {
    String name = info.getTestMethod().orElseThrow().getName();
    world = new TallyWorld(cluster, directory, name.substring(0, Math.min(40, name.length())));
  }

  private Host start() {
    return Host.start(Tally.spec(world.config()), options("state"));
  }

  private HostOptions options(String place) {
    return HostOptions.tuned(world.config(), world.directory().resolve(place));
  }

  private TallyLoad load(long seed) {
    return new TallyLoad(world.config(), TallyWorld.PARTITIONS, seed);
  }

  private TopicPartition input(int partition) {
    return new TopicPartition(world.config().named("tally.commands"), partition);
  }

  @Test
  void brokerPausedPastTheDeliveryTimeoutLosesNothing() {
    try (TallyLoad load = load(11);
        Host host = start()) {
      for (int round = 0; round < 3; round++) {
        load.send(1_500);
        cluster.node(1).pause();
        // delivery time-out of the tuned profile: 2.5 s
        await().pollDelay(Duration.ofMillis(3_500)).until(() -> true);
        cluster.node(1).resume();
        load.send(500);
        load.flush();
      }

      world.awaitEqualToReplay(Duration.ofSeconds(60));
      await().atMost(Duration.ofSeconds(60)).until(() -> host.health().stopped().isEmpty());
    }
  }

  @Test
  void destinationThatRefusesIsNamedAndNothingIsLost() throws Exception {
    String other = world.config().named("tally.other");
    world.set(other, "max.message.bytes", "2000");
    try (TallyLoad load = load(12);
        Host host = start()) {
      load.send(200);
      // where other effects of the same source go: one that overtook it would show
      load.send("key-1", new Tally.Shout(other, Partitions.of("key-1", 2), 50_000));
      load.send(200);
      load.flush();
      await()
          .atMost(SOON)
          .untilAsserted(
              () -> {
                assertThat(host.health().state()).isEqualTo(HostHealth.State.DEGRADED);
                assertThat(host.health().alarms().get("effects")).contains(other);
              });

      world.set(other, "max.message.bytes", "1048588");

      world.awaitEqualToReplay(Duration.ofSeconds(60));
      assertThat(host.health().stopped()).isEmpty();
    }
  }

  @Test
  void twoTasksOnOneThreadWithFewUnwrittenRowsSurviveAFailedSend() throws Exception {
    String other = world.config().named("tally.other");
    world.set(other, "max.message.bytes", "2000");
    try (TallyLoad load = load(13)) {
      load.send(800);
      load.send("key-2", new Tally.Shout(other, Partitions.of("key-2", 2), 50_000));
      load.send(800);
      load.flush();
      HostOptions tiny = options("state").withThreads(1).withUnwrittenRows(10);
      try (Host host = Host.start(Tally.spec(world.config()), tiny)) {
        await().atMost(SOON).until(() -> host.health().alarms().containsKey("effects"));
        // closed while the lane is failed: what was folded must be folded again
      }
      world.set(other, "max.message.bytes", "1048588");
      try (Host host = Host.start(Tally.spec(world.config()), tiny)) {
        world.awaitEqualToReplay(Duration.ofSeconds(60));
        assertThat(host.health().stopped()).isEmpty();
      }
    }
  }

  @Test
  void poisonIsKeptWithItsReasonAndThePartitionGoesOn() {
    try (TallyLoad load = load(14);
        Host host = start()) {
      load.sendBytes(0, "bad", "no magic".getBytes(StandardCharsets.UTF_8));
      load.sendBytes(0, "bad", foreignSchema());
      load.send("key-1", new Tally.Add("key-1", -5));
      load.send(300);
      load.flush();
      world.awaitEqualToReplay(SOON);

      assertThat(rejected())
          .extracting(Rejected::getReason)
          .anySatisfy(reason -> assertThat(reason).contains("does not begin with C3 01"))
          .anySatisfy(reason -> assertThat(reason).contains("not among those of the Layout"))
          .anySatisfy(reason -> assertThat(reason).isEqualTo("Amount of 'key-1' is -5"));
      assertThat(host.health().stopped()).isEmpty();
    }
  }

  @Test
  void effectThatMayNotExistIsDeniedToItsCause() {
    try (TallyLoad load = load(15);
        Host host = start()) {
      String other = world.config().named("tally.other");
      load.send("key-1", new Tally.Shout(other, 7, 10));
      load.send("key-1", new Tally.Shout("elsewhere", 0, 10));
      load.send("key-1", new Tally.Shout(other, 0, 2_000_000 / 2));
      load.send(200);
      load.flush();
      world.awaitEqualToReplay(SOON);

      assertThat(refusals())
          .anySatisfy(r -> assertThat(r).contains("Partition 7 of '" + other + "' does not exist"))
          .anySatisfy(r -> assertThat(r).contains("Topic 'elsewhere' is not a destination"))
          .anySatisfy(r -> assertThat(r).contains("is too large for '" + other + "'"));
      assertThat(host.health().stopped()).isEmpty();
    }
  }

  @Test
  void lostGroupOffsetsStopThePartitionWithTheRemedy() throws Exception {
    try (TallyLoad load = load(16)) {
      load.send(600);
      load.flush();
      try (Host host = start()) {
        world.awaitEqualToReplay(SOON);
        assertThat(host.health().stopped()).isEmpty();
      }
      admin.deleteConsumerGroups(List.of(world.config().named("lockstep-tally"))).all().get();
      try (Host host = start()) {
        load.send(100);
        load.flush();
        await()
            .atMost(SOON)
            .untilAsserted(
                () ->
                    assertThat(host.health().stopped().values())
                        .isNotEmpty()
                        .allSatisfy(r -> assertThat(r).contains("group offsets were lost")));
        assertThat(host.health().isHealthy()).isFalse();
      }
    }
  }

  @Test
  void inputDeletedPastTheStateStopsThePartitionWithTheLoss() throws Exception {
    try (TallyLoad load = load(17)) {
      load.send(600);
      load.flush();
      try (Host host = start()) {
        world.awaitEqualToReplay(SOON);
        assertThat(host.health().stopped()).isEmpty();
      }
      load.send(400);
      load.flush();
      admin.deleteRecords(Map.of(input(0), RecordsToDelete.beforeOffset(-1))).all().get();
      try (Host host = start()) {
        await()
            .atMost(SOON)
            .untilAsserted(
                () ->
                    assertThat(host.health().stopped().get(input(0).toString()))
                        .contains("are lost"));
        // the other partitions go on
        await()
            .atMost(SOON)
            .until(() -> host.health().stopped().keySet().equals(Set.of(input(0).toString())));
      }
    }
  }

  @Test
  void newApplicationOverAnOldLogStops() throws Exception {
    try (TallyLoad load = load(18)) {
      load.send(600);
      load.flush();
    }
    admin.deleteRecords(Map.of(input(1), RecordsToDelete.beforeOffset(50))).all().get();
    try (Host host = start()) {
      await()
          .atMost(SOON)
          .untilAsserted(
              () ->
                  assertThat(host.health().stopped().get(input(1).toString()))
                      .contains("the next record is 0, the log begins at 50"));
    }
  }

  @Test
  void foreignTransactionIsReportedByNameAndPassed() {
    Map<String, Object> settings = world.config().client();
    settings.put("transactional.id", "somebody-else");
    try (TallyLoad load = load(19);
        Host host = start();
        KafkaProducer<byte[], byte[]> foreign =
            new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      load.send(200);
      load.flush();
      world.awaitEqualToReplay(SOON);
      foreign.initTransactions();
      foreign.beginTransaction();
      foreign.send(
          new ProducerRecord<>(
              input(2).topic(), 2, null, Tally.CODEC.encode(new Tally.Add("key-x", 1))));
      foreign.flush();
      await()
          .atMost(SOON)
          .pollInterval(Duration.ofMillis(50))
          .untilAsserted(
              () ->
                  assertThat(host.health().alarms().get("held " + input(2)))
                      .contains("somebody-else"));

      foreign.commitTransaction();
      load.send(200);
      load.flush();

      world.awaitEqualToReplay(SOON);
      assertThat(host.health().stopped()).isEmpty();
      assertThat(host.health().alarms()).containsKey("foreign transaction in " + input(2));
    }
  }

  @Test
  void wrongSettingsStopTheStartAndAreAllListed() throws Exception {
    world.set(input(0).topic(), "message.timestamp.type", "CreateTime");
    world.set(input(0).topic(), "unclean.leader.election.enable", "true");

    assertThatThrownBy(this::start)
        .isInstanceOf(StartRefusedException.class)
        .hasMessageContaining("message.timestamp.type=CreateTime, needs LogAppendTime")
        .hasMessageContaining("unclean.leader.election.enable=true, needs false");
  }

  @Test
  void instanceThatLacksTheLogicStopsBeforeItJoinsAndInMidStream() {
    String topic = input(0).topic();
    try (TallyLoad load = load(20);
        Host host = start();
        TopicAdmin topics = new TopicAdmin(world.config())) {
      load.send(100);
      load.flush();
      world.awaitEqualToReplay(SOON);

      topics.changeLayout(topic, TallyWorld.ORDER, layout -> layout.setLogicVersion(2));

      await()
          .atMost(SOON)
          .untilAsserted(() -> assertThat(host.health().stopped()).hasSize(TallyWorld.PARTITIONS));
      assertThat(host.health().stopped().values())
          .allSatisfy(r -> assertThat(r).contains("asks for logic version 2"));
      assertThatThrownBy(this::start)
          .isInstanceOf(StartRefusedException.class)
          .hasMessageContaining("run the release that has it");
      assertThat(rejected()).isEmpty();
    }
  }

  /** Execution K1 of the kernel review: another instance could fold the record. */
  @Test
  void instanceThatLacksASchemaStopsAndRejectsNothing() {
    String topic = input(0).topic();
    try (TallyLoad load = load(22);
        Host host = start();
        TopicAdmin topics = new TopicAdmin(world.config())) {
      load.send(100);
      load.flush();
      world.awaitEqualToReplay(SOON);
      byte[] record = foreignSchema();
      long schema = Tally.CODEC.fingerprint(record);
      topics.changeLayout(topic, TallyWorld.ORDER, layout -> addSchema(layout, schema));

      load.sendBytes(2, "new", record);
      load.flush();

      await()
          .atMost(SOON)
          .untilAsserted(
              () ->
                  assertThat(host.health().stopped().get(input(2).toString()))
                      .contains("the Layout knows schema %016x".formatted(schema))
                      .contains("run the release that has it"));
      assertThat(rejected()).isEmpty();
      // the other partitions go on; a new start is refused before it joins
      load.send(100);
      load.flush();
      await().atMost(SOON).until(() -> host.health().stopped().size() == 1);
      assertThatThrownBy(this::start)
          .isInstanceOf(StartRefusedException.class)
          .hasMessageContaining(
              "allows schemas that this program lacks: [%016x]".formatted(schema));
    }
  }

  @Test
  void changedTickAndDestinationCountGiveTheSameOnEveryInstance() {
    String topic = input(0).topic();
    try (TallyLoad load = load(21);
        TopicAdmin topics = new TopicAdmin(world.config())) {
      for (int turn = 0; turn < 4; turn++) {
        HostOptions own =
            options("state-" + turn % 2)
                .withThreads(1 + turn % 2)
                .withCommitInterval(Duration.ofMillis(30 + 100L * turn));
        int tick = 100 + 100 * turn;
        int partitions = 1 + turn % 3;
        try (Host host = Host.start(Tally.spec(world.config()), own)) {
          load.send(400);
          topics.changeLayout(
              topic,
              TallyWorld.ORDER,
              layout -> layout.setTickMillis(tick).setDestinations(totals(layout, partitions)));
          load.send(400);
          load.flush();
          await().atMost(SOON).until(() -> host.health().state() == HostHealth.State.RUNNING);
        }
      }
      try (Host host = start()) {
        world.awaitEqualToReplay(Duration.ofSeconds(60));
        assertThat(host.health().stopped()).isEmpty();
      }
    }
  }

  @Test
  void layoutKeepsWhatOnlyAnotherTopicHas() {
    String topic = input(0).topic();
    try (TopicAdmin topics = new TopicAdmin(world.config())) {
      assertThatThrownBy(
              () -> topics.changeLayout(topic, TallyWorld.ORDER, layout -> layout.setPartitions(9)))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("only a topic that is made again");
      assertThat(topics.layouts().get(topic).getPartitions()).isEqualTo(TallyWorld.PARTITIONS);
    }
  }

  private static void addSchema(Layout.Builder layout, long schema) {
    List<Long> schemas = new ArrayList<>(layout.getSchemas());
    schemas.add(schema);
    schemas.sort(null);
    layout.setSchemas(schemas);
  }

  /** The destinations, with another number of partitions for the totals. */
  private static List<Destination> totals(Layout.Builder layout, int partitions) {
    List<Destination> destinations = new ArrayList<>();
    for (Destination d : layout.getDestinations()) {
      boolean totals = d.getTopic().endsWith("tally.totals");
      destinations.add(
          new Destination(d.getTopic(), totals ? partitions : d.getPartitions(), d.getMaxBytes()));
    }
    return destinations;
  }

  /** A well-formed record of a schema that the Layout does not list. */
  private static byte[] foreignSchema() {
    byte[] bytes = Tally.CODEC.encode(new Tally.Add("x", 1));
    bytes[5] ^= 0x55;
    return bytes;
  }

  private List<Rejected> rejected() {
    List<Rejected> all = new ArrayList<>();
    SingleObjectCodec codec = new SingleObjectCodec(KernelSchemas.CATALOG);
    for (ConsumerRecord<byte[], byte[]> record :
        world.read(world.config().named("tally.commands.rejected"), TallyWorld.PARTITIONS)) {
      all.add((Rejected) codec.decode(record.value()));
    }
    return all;
  }

  private List<String> refusals() {
    List<String> all = new ArrayList<>();
    for (ConsumerRecord<byte[], byte[]> record :
        world.read(world.config().named("tally.totals"), 3)) {
      if (Tally.CODEC.decode(record.value()) instanceof Tally.Refused refused) {
        all.add(refused.reason());
      }
    }
    return all;
  }
}
