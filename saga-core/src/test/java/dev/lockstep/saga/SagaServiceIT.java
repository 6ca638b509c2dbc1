package dev.lockstep.saga;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.HostHealth;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.ReplayAudit;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.saga.internal.engine.SagaMachine;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Definitions come and go while a saga log is in use. */
class SagaServiceIT {

  record Order(String id) {}

  record Ship(String id) {}

  record Pack(String id) {}

  private static final Duration WAIT = Duration.ofSeconds(30);
  private static final Saga<Order> FIRST =
      Saga.named("first", Order.class)
          .pivot("ship")
          .send(ParticipantRef.of("shipper"), order -> new Ship(order.id()))
          .build();
  private static final Saga<Order> SECOND =
      Saga.named("second", Order.class)
          .pivot("pack")
          .send(ParticipantRef.of("packer"), order -> new Pack(order.id()))
          .build();

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static LockstepConfig config;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    config = LockstepConfig.of(cluster.bootstrapServers());
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(
          new TopicPlan(
              List.of(
                  LockTopics.plan(config, 1, List.of(SagaTopics.log(config, 2))),
                  SagaTopics.plan(config, List.of(FIRST), 2, 1)),
              List.of()));
    }
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  @Test
  void aSecondSagaIsAllowedWhileTheFirstRuns() throws Exception {
    List<Saga<?>> both = List.of(FIRST, SECOND);
    try (SagaService service =
            SagaService.start(both, HostOptions.tuned(config, directory.resolve("state")));
        SagaClient client = new SagaClient(config)) {
      client.start(FIRST, "first-1", new Order("1")).get(10, TimeUnit.SECONDS);
      client.start(SECOND, "second-0", new Order("0")).get(10, TimeUnit.SECONDS);
      await().atMost(WAIT).until(() -> commands("shipper").equals(List.of("first-1")));

      SagaTopics.allow(config, List.of(SECOND), "ops@example", "second release");
      SagaTopics.allow(config, List.of(SECOND), "ops@example", "second release");
      client.start(SECOND, "second-1", new Order("1")).get(10, TimeUnit.SECONDS);
      client.start(FIRST, "first-2", new Order("2")).get(10, TimeUnit.SECONDS);

      await().atMost(WAIT).until(() -> commands("packer").equals(List.of("second-1")));
      await().atMost(WAIT).until(() -> commands("shipper").contains("first-2"));
      assertThat(service.health().state()).isEqualTo(HostHealth.State.RUNNING);
    }
    ReplayAudit audit = new ReplayAudit(SagaTopics.machine(config, both), config);
    assertThat(audit.run().differences()).isEmpty();
  }

  @Test
  void aDefinitionThatChangedWithoutANewVersionStopsTheStart() {
    Saga<Order> changed =
        Saga.named("first", Order.class)
            .pivot("ship")
            .send(ParticipantRef.of("another"), order -> new Ship(order.id()))
            .build();

    assertThatThrownBy(
            () ->
                SagaService.start(
                    List.of(changed), HostOptions.tuned(config, directory.resolve("changed"))))
        .isInstanceOf(SagaException.class)
        .hasMessageContaining("saga.definition.first.1 has fingerprint")
        .hasMessageContaining("every change is a new version");
  }

  /** Sagas whose commands stand in a participant's topic. */
  private static List<String> commands(String participant) {
    var settings = config.client();
    settings.put("auto.offset.reset", "earliest");
    settings.put("group.id", "reader");
    SingleObjectCodec codec = new SingleObjectCodec(SagaMachine.CATALOG);
    List<String> sagas = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      String topic = config.named(SagaSchemas.commands(participant));
      var partitions =
          consumer.partitionsFor(topic).stream()
              .map(p -> new TopicPartition(topic, p.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      var ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        consumer
            .poll(Duration.ofMillis(100))
            .forEach(r -> sagas.add(((StepCommand) codec.decode(r.value())).getSagaId()));
      }
    }
    return sagas.stream().distinct().sorted().toList();
  }
}
