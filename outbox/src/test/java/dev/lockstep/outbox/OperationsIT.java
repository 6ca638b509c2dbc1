package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Headers;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** What operators see and do. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class OperationsIT {

  private Path directory;
  private KafkaCluster cluster;

  @BeforeAll
  void startBroker(@TempDir Path temporary) {
    directory = temporary;
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
  }

  @AfterAll
  void stopBroker() {
    cluster.close();
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void metersTellBacklogAgeAndLatency(TestDatabase.Kind kind) throws Exception {
    String name = "meters_" + kind.name().toLowerCase(Locale.ROOT);
    try (TestDatabase database = TestDatabase.start(kind, directory.resolve(name));
        OutboxWorld world = new OutboxWorld(cluster, database, name)) {
      String topic = world.createTopic(name, 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.admin.pause("test", "to see the backlog");
      SimpleMeterRegistry meters = new SimpleMeterRegistry();
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        OutboxMetrics.of(relay, "outbox", name).bindTo(meters);
        soon(() -> assertThat(relay.health().shards().values()).hasSize(4).containsOnly("PAUSED"));
        for (int i = 0; i < 30; i++) {
          world.publish(message(topic, "k" + i, "v"));
        }
        soon(() -> assertThat(meters.get("lockstep.outbox.backlog").gauge().value()).isEqualTo(30));
        soon(() -> assertThat(meters.get("lockstep.outbox.oldest").gauge().value()).isPositive());
        assertThat(meters.get("lockstep.outbox.rows").functionCounter().count()).isZero();

        world.admin.resume("test", "seen");
        soon(() -> assertThat(meters.get("lockstep.outbox.backlog").gauge().value()).isZero());
        soon(
            () ->
                assertThat(meters.get("lockstep.outbox.rows").functionCounter().count())
                    .isEqualTo(30));
        assertThat(meters.get("lockstep.outbox.oldest").gauge().value()).isZero();
        assertThat(meters.get("lockstep.outbox.healthy").gauge().value()).isEqualTo(1);
        assertThat(meters.get("lockstep.outbox.blocked").gauge().value()).isZero();
        assertThat(
                meters.get("lockstep.outbox.latency").functionTimer().mean(TimeUnit.MILLISECONDS))
            .isPositive();
        assertThat(
                meters
                    .get("lockstep.outbox.commit")
                    .functionTimer()
                    .totalTime(TimeUnit.NANOSECONDS))
            .isPositive();
      }
    }
  }

  @Test
  void replaySendsWhatWasPublishedOnceMoreAndMovesNoPosition() throws Exception {
    try (TestDatabase database =
            TestDatabase.start(TestDatabase.Kind.POSTGRESQL, directory.resolve("replay"));
        OutboxWorld world = new OutboxWorld(cluster, database, "replay")) {
      String topic = world.createTopic("replayed", 1, Map.of());
      String copy = world.createTopic("replayed-copy", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.publish(message(topic, "a", "before"));
      Instant from = world.now();
      await().pollDelay(Duration.ofMillis(20)).until(() -> true);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        world.publish(message(topic, "a", "1").withHeader("who", "x"), message(topic, "a", "2"));
        soon(() -> assertThat(world.read(topic)).hasSize(3));
        world.admin.pause("test", "what is not published is not replayed");
        soon(() -> assertThat(relay.health().shards().values()).containsOnly("PAUSED"));
        world.publish(message(topic, "a", "3"));
        List<Long> progress = new ArrayList<>();
        Instant until = world.now().plusSeconds(60);
        assertThat(
                world.admin.replay(
                    world.options,
                    new ReplayRequest(topic, from, until, copy),
                    "test",
                    "a new reader",
                    progress::add))
            .isEqualTo(2);
        assertThat(progress).containsExactly(2L);
        assertThat(world.read(copy)).containsExactly("a=1", "a=2");
        ConsumerRecord<byte[], byte[]> first = world.records(copy).get(0);
        assertThat(LockstepHeaders.text(first.headers(), LockstepHeaders.REPLAY))
            .startsWith("replayed of ");
        assertThat(LockstepHeaders.text(first.headers(), "who")).isEqualTo("x");
        for (String header :
            List.of(
                LockstepHeaders.CE_SPECVERSION,
                LockstepHeaders.CE_SOURCE,
                LockstepHeaders.CE_ID,
                LockstepHeaders.CE_TIME)) {
          assertThat(LockstepHeaders.text(first.headers(), header))
              .isNotNull()
              .isEqualTo(LockstepHeaders.text(world.records(topic).get(1).headers(), header));
        }
        assertThat(RowSource.of(first.headers()).row())
            .isEqualTo(RowSource.of(world.records(topic).get(1).headers()).row());
        assertThat(RowSource.of(first.headers()).n()).isZero();
        world.admin.resume("test", "seen");
        soon(() -> assertThat(world.read(topic)).hasSize(4));
        assertThat(
                world.text(
                    "SELECT operation FROM lockstep_outbox_operation WHERE operation LIKE 'replay%'"))
            .contains("to replayed-copy");
      }
    }
  }

  /** Receivers took two messages with the headers of a third for repeats of it. */
  @Test
  void headersThatAreForwardedDoNotReplaceAMessagesIdentity() throws Exception {
    try (TestDatabase database =
            TestDatabase.start(TestDatabase.Kind.H2, directory.resolve("forwarded"));
        OutboxWorld world = new OutboxWorld(cluster, database, "forwarded")) {
      String topic = world.createTopic("forwarded", 1, Map.of());
      world.outbox.register(topic, Lane.EXPRESS, 0);
      OutboxMessage message =
          message(topic, "a", "1")
              .withHeader(LockstepHeaders.ROW, "of another")
              .withHeader(LockstepHeaders.CE_ID, "of another")
              .withHeader("traceparent", "kept");
      world.publish(message);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.records(topic)).hasSize(1));
        assertThat(relay.health().isHealthy()).isTrue();
      }
      Headers headers = world.records(topic).get(0).headers();
      assertThat(RowSource.of(headers).row()).isEqualTo(message.id());
      assertThat(headers.headers(LockstepHeaders.CE_ID)).hasSize(1);
      assertThat(LockstepHeaders.text(headers, LockstepHeaders.CE_ID))
          .isEqualTo(message.id().toString());
      assertThat(LockstepHeaders.text(headers, "traceparent")).isEqualTo("kept");
    }
  }

  @Test
  void codecsSayHowAPayloadIsWritten() throws Exception {
    record Order(String id, int amount) {}
    PayloadCodec<Order> json = PayloadCodec.json(new ObjectMapper());
    OutboxMessage message =
        OutboxMessage.of("orders", "42", new Order("42", 7), json)
            .withType("com.example.order.placed");
    assertThat(message.payload())
        .asString(StandardCharsets.UTF_8)
        .isEqualTo("{\"id\":\"42\",\"amount\":7}");
    assertThat(message.headers())
        .containsEntry("content-type", "application/json")
        .containsEntry("ce_type", "com.example.order.placed");
  }
}
