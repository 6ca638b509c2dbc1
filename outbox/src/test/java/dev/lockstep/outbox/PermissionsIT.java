package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A relay has the least rights in Kafka, those of the reference, and loses some for a while. */
class PermissionsIT {

  /** What a relay needs for itself. */
  enum Right {
    TRANSACTIONAL_ID("TransactionalIdAuthorizationException"),
    POSITIONS_WRITE("positions]"),
    POSITIONS_READ("positions]"),
    GROUP("GroupAuthorizationException");

    private final String says;

    Right(String says) {
      this.says = says;
    }
  }

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static PostgresServer postgres;
  private static int worlds;
  private static int topics;

  private OutboxWorld world;
  private RelayOptions options;
  private String topic;
  private String other;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.startGuarded(directory, BrokerProfile.TUNED, Map.of("relay", "secret"));
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServers() {
    postgres.close();
    cluster.close();
  }

  /** With the rights that the reference names, and no other. */
  @BeforeEach
  void createWorld() throws Exception {
    world = new OutboxWorld(cluster, postgres, "rights" + ++worlds);
    options =
        RelayOptions.of(
                new LockstepConfig(
                    cluster.guardedBootstrapServers(), "", KafkaCluster.login("relay", "secret")),
                world.options.name())
            .withLongestPoll(Duration.ofMillis(50));
    topic = createTopic(Lane.EXACTLY_ONCE);
    other = createTopic(Lane.EXACTLY_ONCE);
    for (Right right : Right.values()) {
      grant(rights(right));
    }
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  private String createTopic(Lane lane) throws Exception {
    String created = world.createTopic("rights-" + ++topics, 1, Map.of());
    world.outbox.register(created, lane, 0);
    grant(rightsOn(created));
    return created;
  }

  private static List<AclBinding> rightsOn(String topic) {
    return List.of(
        right(ResourceType.TOPIC, topic, PatternType.LITERAL, AclOperation.WRITE),
        right(ResourceType.TOPIC, topic, PatternType.LITERAL, AclOperation.DESCRIBE_CONFIGS));
  }

  private List<AclBinding> rights(Right right) {
    String positions = options.positionsTopic();
    String own = "lockstep-outbox-" + options.name();
    return switch (right) {
      case TRANSACTIONAL_ID ->
          List.of(
              right(
                  ResourceType.TRANSACTIONAL_ID,
                  own + "-",
                  PatternType.PREFIXED,
                  AclOperation.WRITE));
      case POSITIONS_WRITE ->
          List.of(right(ResourceType.TOPIC, positions, PatternType.LITERAL, AclOperation.WRITE));
      case POSITIONS_READ ->
          List.of(right(ResourceType.TOPIC, positions, PatternType.LITERAL, AclOperation.READ));
      case GROUP -> List.of(right(ResourceType.GROUP, own, PatternType.LITERAL, AclOperation.READ));
    };
  }

  @Test
  void topicThatMayNotBeWrittenToWaitsAsideAndOthersGoOn() throws Exception {
    String express = createTopic(Lane.EXPRESS);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options);
        Traffic traffic = new Traffic(world, topic, express, other)) {
      soon(() -> assertThat(world.read(topic)).hasSizeGreaterThan(20));
      soon(() -> assertThat(world.readOnce(express)).hasSizeGreaterThan(20));

      List<AclBinding> rights = new ArrayList<>(rightsOn(topic));
      rights.addAll(rightsOn(express));
      revoke(rights);
      soon(
          () ->
              assertThat(relay.health().blocked())
                  .hasSize(4)
                  .allSatisfy(text -> assertThat(text).contains("grant DESCRIBE and WRITE"))
                  .anySatisfy(text -> assertThat(text).contains("topic '" + topic + "'"))
                  .anySatisfy(text -> assertThat(text).contains("topic '" + express + "'")));
      int refused = world.read(topic).size();
      int before = world.read(other).size();
      soon(() -> assertThat(world.read(other)).hasSizeGreaterThan(before + 30));
      assertThat(world.read(topic)).hasSize(refused);
      assertThat(relay.health().faults()).isEmpty();

      grant(rights);
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      traffic.goesOnFor(10);
      traffic.stop();
      soon(() -> traffic.assertWhole(world.read(topic)));
      soon(() -> traffic.assertWhole(world.readOnce(express)));
      soon(() -> traffic.assertWhole(world.read(other)));
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox_parked")).isZero();
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void rightsOfTheRelayItselfAreWaitedFor() throws Exception {
    try (Traffic traffic = new Traffic(world, topic, other)) {
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
        for (Right right : List.of(Right.TRANSACTIONAL_ID, Right.POSITIONS_WRITE)) {
          revokeAndSee(right, relay);
          int refused = world.read(topic).size();
          traffic.goesOnFor(30);
          assertThat(world.read(topic)).hasSize(refused);
          grantAndSee(right, relay);
        }
        // who owns the shards goes on
        revokeAndSee(Right.GROUP, relay);
        int before = world.read(topic).size();
        soon(() -> assertThat(world.read(topic)).hasSizeGreaterThan(before + 30));
        grantAndSee(Right.GROUP, relay);
      }
      revoke(rights(Right.POSITIONS_READ));
      try (OutboxRelay another = OutboxRelay.start(world.outbox, options)) {
        soon(() -> assertThat(said(another)).contains(Right.POSITIONS_READ.says));
        traffic.goesOnFor(30);
        grantAndSee(Right.POSITIONS_READ, another);
        traffic.stop();
        soon(() -> traffic.assertWhole(world.read(topic)));
        soon(() -> traffic.assertWhole(world.read(other)));
        assertThat(another.health().isHealthy()).isTrue();
      }
    }
  }

  /** Rows that were on their way took the blame for the position topic, and nobody was told. */
  @Test
  void positionTopicIsToBlameAndNotTheRowsOfItsTransaction() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      world.admin.pause("test", "until there is a long page");
      soon(() -> assertThat(relay.health().shards().values()).hasSize(4).containsOnly("PAUSED"));
      OutboxMessage[] page = new OutboxMessage[8];
      for (int i = 0; i < page.length; i++) {
        page[i] = OutboxMessage.of(topic, "a", new byte[900_000]);
      }
      world.publish(page);
      revoke(rights(Right.POSITIONS_WRITE));
      world.admin.resume("test", "there is");
      soon(() -> assertThat(said(relay)).contains(Right.POSITIONS_WRITE.says));
      assertThat(relay.health().blocked()).isEmpty();

      grantAndSee(Right.POSITIONS_WRITE, relay);
      soon(() -> assertThat(world.records(topic)).hasSize(page.length));
    }
  }

  private void revokeAndSee(Right right, OutboxRelay relay) throws Exception {
    int before = world.read(topic).size();
    soon(() -> assertThat(world.read(topic)).hasSizeGreaterThan(before + 20));
    revoke(rights(right));
    soon(() -> assertThat(said(relay)).contains(right.says));
    assertThat(relay.health().isHealthy()).isFalse();
    assertThat(relay.health().blocked()).as("no topic of a message is to blame").isEmpty();
  }

  private void grantAndSee(Right right, OutboxRelay relay) throws Exception {
    grant(rights(right));
    soon(() -> assertThat(relay.health().isHealthy()).isTrue());
  }

  private static String said(OutboxRelay relay) {
    RelayHealth health = relay.health();
    return health.faults().values() + health.groupFault().orElse("");
  }

  private static AclBinding right(
      ResourceType type, String name, PatternType pattern, AclOperation operation) {
    return new AclBinding(
        new ResourcePattern(type, name, pattern),
        new AccessControlEntry("User:relay", "*", operation, AclPermissionType.ALLOW));
  }

  private void grant(List<AclBinding> rights) throws Exception {
    world.kafka().createAcls(rights).all().get();
  }

  private void revoke(List<AclBinding> rights) throws Exception {
    assertThat(
            world
                .kafka()
                .deleteAcls(rights.stream().map(AclBinding::toFilter).toList())
                .all()
                .get())
        .hasSameSizeAs(rights);
  }
}
