package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.fixture.Tally;
import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HostIT {

  @TempDir Path directory;

  @Test
  void effectsAndStateEqualTheReplay() {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED)) {
      LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
      try (TopicAdmin topics = new TopicAdmin(config)) {
        topics.create(Tally.plan(config, 4));
        assertThat(topics.check(Tally.plan(config, 4))).isEmpty();
      }
      try (TallyLoad load = new TallyLoad(config, 4, 42);
          Host host =
              Host.start(
                  Tally.spec(config), HostOptions.tuned(config, directory.resolve("state")))) {
        load.send(5_000);
        load.flush();

        ReplayAudit audit = new ReplayAudit(Tally.spec(config), config);
        await()
            .atMost(Duration.ofSeconds(30))
            .untilAsserted(() -> assertThat(audit.run().differences()).isEmpty());
        assertThat(audit.run().effects()).isGreaterThan(5_000);
        assertThat(host.health().isHealthy()).as("%s", host.health()).isTrue();
      }
    }
  }
}
