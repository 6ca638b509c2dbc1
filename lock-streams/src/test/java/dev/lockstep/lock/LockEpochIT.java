package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.testkit.process.ChildJvm;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The command topic is made again while locks are held. */
class LockEpochIT {

  private static final Duration WAIT = Duration.ofSeconds(30);

  @TempDir Path directory;

  private LockWorld world;
  private LockstepConfig config;

  @BeforeEach
  void start() {
    world = LockWorld.withoutService(directory);
    config = world.config();
  }

  @AfterEach
  void checkAndStop() {
    try (LockWorld ends = world) {
      assertThat(ends.check().violations()).isEmpty();
    }
  }

  private LockService service() {
    return LockService.start(HostOptions.tuned(config, directory.resolve("state")));
  }

  private void startEpoch(int partitions) {
    LockTopics.startEpoch(config, partitions, "ops@example", "test");
  }

  private Layout layout() {
    try (TopicAdmin topics = new TopicAdmin(config)) {
      return topics.layouts().get(config.named(LockSchemas.COMMANDS));
    }
  }

  @Test
  void holdersQueuesAndSagasGoOnUnderTheSameNumberOfPartitions() throws Exception {
    BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
    try (LockClient a = longLived();
        LockClient b = longLived()) {
      Lease held;
      CompletableFuture<Lease> waiting;
      try (LockService first = service();
          LockInspector inspector = LockInspector.start(config)) {
        held = a.lock("k").acquire(WAIT);
        held.onChange(states::add);
        waiting = b.lock("k").acquireAsync(WAIT.multipliedBy(4));
        lease("saga-7", "of saga");
        awaitSeen(inspector, "of saga");
        awaitSeen(inspector, "k");
        await().atMost(WAIT).until(() -> inspector.lock("k").orElseThrow().waiting() == 1);
        awaitFolded();
        assertThatThrownBy(() -> startEpoch(LockWorld.PARTITIONS))
            .isInstanceOf(KernelException.class)
            .hasMessageContaining("while its hosts run");
      }

      lease("saga-8", "asked of nobody");
      assertThatThrownBy(() -> startEpoch(LockWorld.PARTITIONS))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("may not have been announced");
      try (LockService again = service()) {
        awaitFolded();
      }

      startEpoch(LockWorld.PARTITIONS);

      Layout layout = layout();
      assertThat(layout.getTopicEpoch()).isEqualTo(2);
      assertThat(layout.getOrder().getPrincipal()).isEqualTo("ops@example");
      try (LockService second = service();
          LockInspector inspector = LockInspector.start(config)) {
        awaitSeen(inspector, "k");
        LockStatus status = inspector.lock("k").orElseThrow();
        assertThat(status.holders().get(0).token()).isEqualTo(held.token());
        assertThat(status.waiting()).isEqualTo(1);
        assertThat(inspector.lock("of saga").orElseThrow().holders().get(0).session())
            .isEqualTo("saga-7");
        await().atMost(WAIT).until(() -> held.state() == Lease.State.SAFE);
        assertThat(states).doesNotContain(Lease.State.LOST);
        assertThat(waiting).isNotDone();

        assertThat(held.release().get(20, TimeUnit.SECONDS)).isTrue();
        Lease next = waiting.get(20, TimeUnit.SECONDS);
        assertThat(next.token()).isGreaterThan(held.token());
        next.close();
      }
    }
  }

  @Test
  void withMorePartitionsNobodyIsGrantedBeforeOldHoldersHaveLostTheirLeases() throws Exception {
    BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
    String key = movedKey();
    try (LockClient old = world.client()) {
      Lease held;
      try (LockService first = service();
          LockInspector inspector = LockInspector.start(config);
          LockAdmin admin = LockAdmin.connect(config)) {
        held = old.lock(key).acquire(WAIT);
        held.onChange(states::add);
        lease("saga-7", "of saga");
        awaitFolded();
        first.close();
        assertThatThrownBy(() -> startEpoch(2 * LockWorld.PARTITIONS))
            .isInstanceOf(KernelException.class)
            .hasMessageContaining("1 sagas hold or wait for locks, such as [saga-7]");
        try (LockService again = service()) {
          LockStatus status = inspector.lock("of saga").orElseThrow();
          admin.forceRelease("of saga", status.holders().get(0).token(), "ops@example", "test");
          awaitFolded();
        }
      }

      startEpoch(2 * LockWorld.PARTITIONS);

      assertThat(layout().getPartitions()).isEqualTo(2 * LockWorld.PARTITIONS);
      try (LockService second = service();
          LockClient client = world.client()) {
        CompletableFuture<Long> lostAt =
            CompletableFuture.supplyAsync(
                () -> {
                  await().atMost(WAIT).until(() -> held.state() != Lease.State.SAFE);
                  return System.nanoTime();
                });
        Lease next = client.lock(key).acquire(WAIT);
        long grantedAt = System.nanoTime();

        assertThat(lostAt.get(5, TimeUnit.SECONDS)).isLessThan(grantedAt);
        assertThat(next.token()).isGreaterThan(held.token());
        await().atMost(WAIT).until(() -> states.contains(Lease.State.LOST));
        next.close();
        for (int i = 0; i < 20; i++) {
          client.lock("after-" + i).acquire(WAIT).close();
        }
      }
    }
  }

  /** A run that is killed is completed by the next, whatever it had done. */
  @Test
  void runsThatAreKilledAreCompletedByTheNext() throws Exception {
    try (LockClient a = longLived()) {
      Lease held;
      try (LockService first = service()) {
        held = a.lock("k").acquire(WAIT);
        awaitFolded();
      }
      for (int i = 0; i < 4; i++) {
        ChildJvm child =
            ChildJvm.start(
                "epoch-" + i,
                directory.resolve("epoch-" + i + ".log"),
                List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
                LockEpochMain.class.getName(),
                List.of(config.bootstrapServers(), Integer.toString(LockWorld.PARTITIONS)));
        await().atMost(WAIT).until(() -> Files.readString(child.output()).contains("starting"));
        await().pollDelay(Duration.ofMillis(300 + 400L * i)).until(() -> true);
        child.kill();
      }

      startEpoch(LockWorld.PARTITIONS);

      assertThat(layout().getTopicEpoch()).isBetween(2, 6);
      try (LockService second = service()) {
        await().atMost(WAIT).until(() -> held.state() == Lease.State.SAFE);
        assertThat(held.release().get(20, TimeUnit.SECONDS)).isTrue();
      }
    }
  }

  /** Until the service has committed everything that stands in the log now. */
  /** An inspector that is not ready yet says so by an exception. */
  private static void awaitSeen(LockInspector inspector, String key) {
    await()
        .atMost(WAIT)
        .ignoreExceptionsInstanceOf(LockException.class)
        .until(() -> inspector.lock(key).isPresent());
  }

  private void awaitFolded() throws Exception {
    try (Admin admin = Admin.create(config.client())) {
      Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
      for (int i = 0; i < LockWorld.PARTITIONS; i++) {
        latest.put(new TopicPartition(config.named(LockSchemas.COMMANDS), i), OffsetSpec.latest());
      }
      Map<TopicPartition, Long> ends = new HashMap<>();
      admin.listOffsets(latest).all().get().forEach((p, end) -> ends.put(p, end.offset()));
      await()
          .atMost(WAIT)
          .until(
              () -> {
                Map<TopicPartition, OffsetAndMetadata> done =
                    admin
                        .listConsumerGroupOffsets(config.named("lockstep-lock"))
                        .partitionsToOffsetAndMetadata()
                        .get();
                return ends.entrySet().stream()
                    .allMatch(
                        end ->
                            done.containsKey(end.getKey())
                                && done.get(end.getKey()).offset() >= end.getValue());
              });
    }
  }

  private LockClient longLived() {
    return LockClient.connect(LockClientOptions.of(config).withTtl(Duration.ofMinutes(2)));
  }

  /** A key that lives elsewhere when there are twice as many partitions. */
  private static String movedKey() {
    int i = 0;
    while (Partitions.of("m" + i, LockWorld.PARTITIONS)
        == Partitions.of("m" + i, 2 * LockWorld.PARTITIONS)) {
      i++;
    }
    return "m" + i;
  }

  /** As a saga does: without a time to live. */
  private void lease(String saga, String key) throws Exception {
    Acquire acquire =
        new Acquire(
            saga,
            1L,
            1L,
            0L,
            List.of(key),
            LockMode.EXCLUSIVE,
            0,
            0,
            0,
            -1L,
            0L,
            "",
            "saga",
            List.of(),
            List.of(),
            new ReplyTo("", -1, "", false));
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
      producer
          .send(
              new ProducerRecord<>(
                  config.named(LockSchemas.COMMANDS),
                  Partitions.of(key, LockWorld.PARTITIONS),
                  key.getBytes(StandardCharsets.UTF_8),
                  new SingleObjectCodec(LockSchemas.CATALOG).encode(acquire)))
          .get();
    }
  }
}
