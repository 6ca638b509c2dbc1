package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.SmallDisk;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The broker's disk is full: it can write nowhere, and ends itself. */
class DiskFullIT {

  private static final int SMALL_MEBIBYTES = 24;

  @TempDir Path directory;

  @Test
  void writersGoOnAndAllIsCaughtUpWithWhenThereIsSpaceAgain() throws Exception {
    Optional<SmallDisk> mounted =
        SmallDisk.mount(directory.resolve("broker-1").resolve("data"), SMALL_MEBIBYTES);
    assumeThat(mounted)
        .as("LEFT OUT: a small disk for the broker can only be mounted by root on Linux")
        .isPresent();
    try (SmallDisk disk = mounted.orElseThrow();
        KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        PostgresServer postgres = PostgresServer.start(directory.resolve("pg"));
        OutboxWorld world = new OutboxWorld(cluster, postgres, "disk")) {
      String topic = world.createTopic("disk", 1, Map.of());
      String filling = world.createTopic("disk-filling", 1, Map.of());
      world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
      world.outbox.register(filling, Lane.EXACTLY_ONCE, 0);
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options);
          Traffic traffic = new Traffic(world, topic)) {
        soon(() -> assertThat(world.records(topic)).hasSizeGreaterThan(20));

        int filled = 0;
        for (; filled < 2 * SMALL_MEBIBYTES; filled++) {
          world.publish(OutboxMessage.of(filling, "k" + filled, new byte[900_000]));
        }
        soon(() -> assertThat(cluster.node(1).isAlive()).isFalse());
        assertThat(directory.resolve("broker-1").resolve("broker.log"))
            .content()
            .contains("No space left on device");
        soon(
            () ->
                assertThat(relay.health().faults().values())
                    .isNotEmpty()
                    .allSatisfy(fault -> assertThat(fault).contains("do not answer in time")));
        traffic.goesOnFor(30);

        disk.resize(20 * SMALL_MEBIBYTES);
        cluster.node(1).restart();
        cluster.awaitReady();
        int all = filled;
        soon(() -> assertThat(relay.health().isHealthy()).isTrue());
        traffic.goesOnFor(10);
        traffic.stop();
        soon(() -> assertThat(world.records(filling)).hasSize(all));
        soon(() -> traffic.assertWhole(world.read(topic)));
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
  }
}
