package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.TestDatabase.Kind;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.common.config.ConfigResource;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What Kafka refuses never reorders or stops its neighbours, in each kind of database. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class PoisonScenarios {

  private static final byte[] TOO_LARGE = new byte[200_000];

  private final Kind kind;
  private final boolean isFollowed;
  private KafkaCluster cluster;
  private TestDatabase database;
  private int worlds;
  private OutboxWorld world;
  private String topic;
  private Lane lane;

  PoisonScenarios(Kind kind) {
    this(kind, false);
  }

  /**
   * @param isFollowed relays follow the database's log
   */
  PoisonScenarios(Kind kind, boolean isFollowed) {
    this.kind = kind;
    this.isFollowed = isFollowed;
  }

  @BeforeAll
  void startServers(@TempDir Path directory) {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    database = isFollowed ? TestDatabase.followed(directory) : TestDatabase.start(kind, directory);
  }

  @AfterAll
  void stopServers() {
    database.close();
    cluster.close();
  }

  @BeforeEach
  void createWorld(TestInfo info) throws Exception {
    String name = info.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT);
    lane = Lane.EXACTLY_ONCE;
    world =
        new OutboxWorld(
            cluster, database, name.substring(0, Math.min(36, name.length())) + worlds++);
    topic = world.createTopic("poison-" + worlds, 1, Map.of("max.message.bytes", "100000"));
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  @ParameterizedTest
  @EnumSource(Lane.class)
  void refusedRowBlocksItsKeyUntilItIsUnblockedAndNoOther(Lane of) throws Exception {
    lane = of;
    world.outbox.register(topic, lane, 0);
    world.publish(message(topic, "a", "1"), message(topic, "b", "1"));
    UUID poison = publishTooLarge("a");
    for (int i = 2; i <= 40; i++) {
      world.publish(message(topic, "a", "" + i), message(topic, "b", "" + i));
    }
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(values("b")).isEqualTo(upTo(40)));
      soon(() -> assertThat(relay.health().blocked()).hasSize(1));
      assertThat(values("a")).containsExactly("1");
      assertThat(relay.health().isHealthy()).isFalse();
      assertThat(relay.health().faults()).isEmpty();
      assertThat(world.admin.blocked(10))
          .singleElement()
          .extracting(BlockedKey::waiting)
          .isEqualTo(40);

      // still too large: the block stays, and nothing of the key goes out
      assertThat(world.admin.unblock(topic, bytes("a"), "test", "one more try")).isTrue();
      soon(
          () ->
              assertThat(
                      world.number(
                          "SELECT count(*) FROM lockstep_outbox_blocked WHERE unblock_requested"))
                  .isZero());
      assertThat(values("a")).containsExactly("1");

      assertThat(world.admin.discard(poison, "test", "nobody needs it")).isTrue();
      assertThat(world.admin.unblock(topic, bytes("a"), "test", "it is gone")).isTrue();
      world.publish(message(topic, "a", "41"));
      soon(() -> assertThat(values("a")).isEqualTo(upTo(41)));
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox_parked")).isZero();
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox_operation")).isEqualTo(3);
    }
  }

  @Test
  void parkedRowIsPublishedAgainWhenItsTopicTakesIt() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.PARK);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      UUID poison = publishTooLarge("a");
      world.publish(message(topic, "a", "2"));
      soon(() -> assertThat(values("a")).containsExactly("2"));
      soon(() -> assertThat(world.admin.parked(10)).hasSize(1));
      assertThat(relay.health().isHealthy()).isTrue();

      assertThat(world.admin.publishAgain(poison, "test", "without a larger topic")).isTrue();
      // the second wish must not meet the answer to the first
      soon(
          () ->
              assertThat(world.number("SELECT count(*) FROM lockstep_outbox_parked WHERE released"))
                  .isZero());
      assertThat(world.admin.parked(10).get(0).reason()).contains("refuses");
      alter("max.message.bytes", "1000000");
      assertThat(world.admin.publishAgain(poison, "test", "with a larger topic")).isTrue();
      soon(() -> assertThat(world.records(topic)).hasSize(2));
      soon(() -> assertThat(world.admin.parked(10)).isEmpty());
    }
  }

  /** Each look sent a page and left the block, new rows went behind it, and it never ended. */
  @Test
  void blockEndsWhileItsKeyHasTraffic() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    UUID poison = publishTooLarge("a");
    AtomicBoolean running = new AtomicBoolean(true);
    AtomicInteger last = new AtomicInteger();
    CompletableFuture<Void> traffic;
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().blocked()).hasSize(1));
      traffic =
          CompletableFuture.runAsync(
              () -> {
                while (running.get()) {
                  try {
                    world.publish(message(topic, "a", "" + last.incrementAndGet()));
                  } catch (SQLException e) {
                    throw new IllegalStateException(e);
                  }
                }
              });
      soon(() -> assertThat(world.admin.parked(1_000).size()).isGreaterThan(200));
      assertThat(world.admin.discard(poison, "test", "nobody needs it")).isTrue();
      assertThat(world.admin.unblock(topic, bytes("a"), "test", "it is gone")).isTrue();
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      assertThat(traffic).isNotDone();
      running.set(false);
      traffic.get();
      soon(() -> assertThat(values("a")).isEqualTo(upTo(last.get())));
    }
  }

  /** A position that was lost passes nothing, and took what was only aside for what comes again. */
  @Test
  void rowsAsideOutliveAPositionTopicThatIsMadeAnew() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    publishTooLarge("a");
    world.publish(message(topic, "a", "2"));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.admin.parked(10)).hasSize(2));
      soon(() -> assertThat(world.admin.truncatePublished(world.options)).isTrue());
      assertThat(relay.health().faults()).isEmpty();
    }
    world.kafka().deleteTopics(List.of(world.options.positionsTopic())).all().get();
    soon(
        () ->
            assertThat(world.kafka().listTopics().names().get())
                .doesNotContain(world.options.positionsTopic()));
    world.createTopic(world.options.positionsTopic(), 4, Map.of());
    world.execute("UPDATE lockstep_outbox_meta SET positions_topic_id = NULL");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().blocked()).hasSize(1));
      assertThat(world.admin.parked(10)).hasSize(2);
    }
    assertThatThrownBy(() -> world.admin.configure(1, 4, Duration.ofMinutes(1), "test", "fewer"))
        .hasMessageContaining("unblock or discard them first");
  }

  @Test
  void shardWaitsWhereThePolicySaysSo() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.FAIL);
    world.publish(message(topic, "a", "1"));
    publishTooLarge("a");
    world.publish(message(topic, "a", "3"));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(values("a")).containsExactly("1"));
      soon(
          () ->
              assertThat(relay.health().faults().values())
                  .anySatisfy(fault -> assertThat(fault).contains("policy is FAIL")));
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.PARK);
      soon(() -> assertThat(values("a")).containsExactly("1", "3"));
    }
  }

  /** What was condemned once was never tried again. */
  @Test
  void shardThatWaitsGoesOnWhenItsTopicTakesTheRow() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.FAIL);
    publishTooLarge("a");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().faults()).isNotEmpty());
      alter("max.message.bytes", "1000000");
      soon(() -> assertThat(world.records(topic)).hasSize(1));
    }
  }

  @Test
  void rowsThatNoLibraryCheckedAreFoundOut() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    String insert =
        "INSERT INTO lockstep_outbox (lane, id, topic, part, msg_key, payload)"
            + " VALUES (%d, '%s', '%s', %s, "
            + (kind == Kind.H2 ? "X'6b3%d', X'78')" : "'k%d', 'x')");
    world.execute(insert.formatted(0, UUID.randomUUID(), "nowhere", "NULL", 1));
    world.execute(insert.formatted(1, UUID.randomUUID(), topic, "NULL", 2));
    world.execute(insert.formatted(0, UUID.randomUUID(), topic, "7", 3));
    world.execute(insert.formatted(0, UUID.randomUUID(), topic, "0", 4));
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.read(topic)).containsExactly("k4=x"));
      soon(() -> assertThat(relay.health().blocked()).hasSize(3));
      assertThat(world.admin.parked(10))
          .extracting(ParkedRow::reason)
          .anyMatch(reason -> reason.contains("'nowhere' is not registered"))
          .anyMatch(reason -> reason.contains("has lane EXACTLY_ONCE"))
          .anyMatch(reason -> reason.contains("partition 7 was asked for"));
    }
  }

  /** The rest of the shard goes on; what waited goes out in its order when the topic is back. */
  @ParameterizedTest
  @EnumSource(Lane.class)
  void deletedTopicHoldsUpNoOther(Lane of) throws Exception {
    lane = of;
    world.outbox.register(topic, lane, 0);
    String other = world.createTopic(topic + "-other", 1, Map.of());
    world.outbox.register(other, lane, 0);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      world.publish(message(topic, "a", "1"), message(other, "a", "1"));
      soon(() -> assertThat(values("a")).containsExactly("1"));

      world.kafka().deleteTopics(List.of(topic)).all().get();
      for (int i = 2; i <= 20; i++) {
        world.publish(message(topic, "a", "" + i), message(other, "a", "" + i));
      }
      soon(() -> assertThat(read(other)).hasSize(20));
      soon(
          () ->
              assertThat(relay.health().blocked())
                  .anySatisfy(text -> assertThat(text).contains("does not exist")));

      world.createTopic(topic, 1, Map.of());
      world.publish(message(topic, "a", "21"));
      soon(() -> assertThat(values("a")).containsSubsequence(upTo(21).subList(1, 21)));
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      if (lane == Lane.EXACTLY_ONCE) {
        assertThat(values("a")).isEqualTo(upTo(21).subList(1, 21));
      }
    }
  }

  @Test
  void pausedOutboxPublishesNothing() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    world.admin.pause("test", "a look at the ledger");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      world.publish(message(topic, "a", "1"));
      soon(() -> assertThat(relay.health().shards().values()).hasSize(4).containsOnly("PAUSED"));
      assertThat(values("a")).isEmpty();
      assertThat(world.admin.status().pausedBy()).hasValue("test: a look at the ledger");
      world.admin.resume("test", "seen");
      soon(() -> assertThat(values("a")).containsExactly("1"));
    }
  }

  private UUID publishTooLarge(String key) throws Exception {
    // as a writer that does not know the limit yet
    OutboxMessage message = OutboxMessage.of(topic, key, TOO_LARGE);
    world.publish(message);
    return message.id();
  }

  private void alter(String setting, String value) throws Exception {
    var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    var entry = new ConfigEntry(setting, value);
    var set = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
    world.kafka().incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
  }

  private List<String> values(String key) {
    return read(topic).stream()
        .filter(record -> record.startsWith(key + "="))
        .map(record -> record.substring(key.length() + 1))
        .toList();
  }

  private List<String> read(String from) {
    return lane == Lane.EXPRESS ? world.readOnce(from) : world.read(from);
  }

  private static List<String> upTo(int last) {
    List<String> all = new ArrayList<>();
    for (int i = 1; i <= last; i++) {
      all.add("" + i);
    }
    return all;
  }
}
