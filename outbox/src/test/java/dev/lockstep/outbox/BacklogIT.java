package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Many small pages of one window, several of them in a transaction (decision 0021). */
class BacklogIT {

  private static final int PAGE = 50;
  private static final int PAGES = 8;
  private static final int LIMIT = 100_000;

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static PostgresServer postgres;

  private OutboxWorld world;
  private RelayOptions options;
  private String topic;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServers() {
    postgres.close();
    cluster.close();
  }

  @BeforeEach
  void createWorld(TestInfo info) throws Exception {
    String name =
        (info.getTestMethod().orElseThrow().getName() + info.getDisplayName().hashCode())
            .replace("-", "m")
            .toLowerCase(Locale.ROOT);
    world = new OutboxWorld(cluster, postgres, name.substring(Math.max(0, name.length() - 40)));
    options = world.options.withPageRows(PAGE);
    topic = world.createTopic("backlog-" + name, 3, Map.of("max.message.bytes", "" + LIMIT));
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  @Test
  void pagesShareTransactions() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    int rows = 4_000;
    publish(1, rows);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      soon(() -> assertThat(world.records(topic)).hasSize(rows));
      assertThat(relay.health().isHealthy()).isTrue();
    }
    assertEachKeyInItsOrder(world.read(topic), rows);
    assertThat(world.records(options.positionsTopic()))
        .as("one for each take-over, the others for a transaction")
        .hasSizeBetween(rows / PAGE / PAGES, rows / PAGE / 2);
  }

  /** It is in the middle of a transaction first, and found by halving what goes out. */
  @ParameterizedTest
  @EnumSource(Lane.class)
  void refusedRowHoldsUpItsKeyAlone(Lane lane) throws Exception {
    world.outbox.register(topic, lane, 0);
    publish(1, 1_000);
    // smaller than what the client may send, larger than what the broker takes
    world.publish(OutboxMessage.of(topic, "k7", new byte[LIMIT + 100]));
    publish(1_001, 2_000);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      // of each ten, one is of its key
      soon(() -> assertThat(world.readOnce(topic)).hasSize(1_000 + 900));
      soon(() -> assertThat(relay.health().blocked()).hasSize(1));
      assertThat(world.admin.blocked(10))
          .singleElement()
          .extracting(BlockedKey::waiting)
          .isEqualTo(101);
    }
    List<String> read = world.readOnce(topic);
    assertThat(read.stream().filter(m -> m.startsWith("k7="))).hasSize(100).endsWith("k7=997");
    assertEachKeyInItsOrder(read.stream().filter(m -> !m.startsWith("k7=")).toList(), 1_800);
  }

  @Test
  void expressMessageLeavesBesideABacklogThatStandsStill() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0, PoisonPolicy.FAIL);
    String express = world.createTopic(topic + "-express", 1, Map.of());
    world.outbox.register(express, Lane.EXPRESS, 0);
    for (int key = 0; key < 10; key++) {
      world.publish(OutboxMessage.of(topic, "k" + key, new byte[LIMIT + 100]));
    }
    publish(1, 500);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      world.publish(message(express, "a", "1"));
      soon(() -> assertThat(world.readOnce(express)).containsExactly("a=1"));
      soon(() -> assertThat(relay.health().faults()).hasSize(2));
      world.publish(message(express, "a", "2"));
      soon(() -> assertThat(world.readOnce(express)).containsExactly("a=1", "a=2"));
    }
    assertThat(world.records(topic)).isEmpty();
  }

  /**
   * Their page is read another way: none is lost or moved where one way ends and the other begins.
   */
  @Test
  void largeRowsAmongSmallOnesKeepTheirPlace() throws Exception {
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    List<Integer> sizes = new ArrayList<>();
    for (int i = 0; i < 600; i++) {
      sizes.add(i % 97 == 0 ? 90_000 : i % 200 < 60 && i % 3 == 0 ? 4_000 : 10 + i);
    }
    OutboxMessage[] messages =
        sizes.stream()
            .map(size -> OutboxMessage.of(topic, "a", new byte[size]))
            .toArray(OutboxMessage[]::new);
    world.publish(messages);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, options)) {
      soon(() -> assertThat(world.records(topic)).hasSize(sizes.size()));
      assertThat(relay.health().isHealthy()).isTrue();
    }
    assertThat(world.records(topic)).extracting(r -> r.value().length).isEqualTo(sizes);
  }

  private void publish(int from, int to) throws Exception {
    OutboxMessage[] messages =
        IntStream.rangeClosed(from, to)
            .mapToObj(n -> message(topic, "k" + n % 10, "" + n))
            .toArray(OutboxMessage[]::new);
    world.publish(messages);
  }

  private static void assertEachKeyInItsOrder(List<String> read, int count) {
    assertThat(read).hasSize(count).doesNotHaveDuplicates();
    for (int key = 0; key < 10; key++) {
      String prefix = "k" + key + "=";
      List<Integer> values =
          read.stream()
              .filter(message -> message.startsWith(prefix))
              .map(message -> Integer.valueOf(message.substring(prefix.length())))
              .toList();
      assertThat(values).as(prefix).isSorted();
    }
  }
}
