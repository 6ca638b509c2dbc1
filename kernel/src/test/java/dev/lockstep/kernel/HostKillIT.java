package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.kernel.fixture.TallyWorld;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.process.ChildJvm;
import dev.lockstep.testkit.process.Rounds;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Processes that are killed and paused under load. */
class HostKillIT {

  @TempDir static Path directory;
  private static KafkaCluster cluster;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  @Test
  void killedProcessInventsAndLosesNothing() {
    long seed = 20261121L;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    TallyWorld world = new TallyWorld(cluster, directory, "kill");
    long repeats;
    try (TallyLoad load = new TallyLoad(world.config(), TallyWorld.PARTITIONS, seed)) {
      ChildJvm process = world.process("a");
      for (int kill = 0; kill < Rounds.of(5, 50); kill++) {
        load.sendFor(Duration.ofMillis(2_500 + random.nextInt(1_500)));
        load.flush();
        process.kill();
        process = world.process("a");
      }
      load.sendFor(Duration.ofSeconds(1));
      load.flush();
      ReplayAudit.Result result = world.awaitEqualToReplay(Duration.ofSeconds(60));
      repeats = result.repeats();
      assertThat(result.records()).isGreaterThan(5_000);
      process.close();
    }
    System.out.println("repeats dropped: " + repeats);
  }

  @Test
  void pausedOwnerMayRepeatFactsAndNeverInventsOne() {
    TallyWorld world = new TallyWorld(cluster, directory, "pause");
    try (TallyLoad load = new TallyLoad(world.config(), TallyWorld.PARTITIONS, 4L);
        ChildJvm zombie = world.process("zombie")) {
      load.sendFor(Duration.ofSeconds(4));
      load.flush();
      try (ChildJvm successor = world.process("successor")) {
        load.sendFor(Duration.ofSeconds(3));
        load.flush();
        zombie.pause();
        // longer than the session of 1.5 s: the successor takes everything over meanwhile
        load.sendFor(Duration.ofSeconds(6));
        load.flush();
        zombie.resume();
        load.sendFor(Duration.ofSeconds(2));
        load.flush();

        world.awaitEqualToReplay(Duration.ofSeconds(60));
        assertThat(successor.isAlive()).isTrue();
        assertThat(zombie.isAlive()).isTrue();
      }
    }
  }
}
