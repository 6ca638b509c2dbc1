package dev.lockstep.lock;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;

/** A broker with the lock topics, and a lock service on it. */
final class LockWorld implements AutoCloseable {

  static final int PARTITIONS = 4;

  private final KafkaCluster cluster;
  private final LockstepConfig config;
  private final LockService service;

  LockWorld(Path directory) {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    config = LockstepConfig.of(cluster.bootstrapServers());
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(
          new TopicPlan(List.of(LockTopics.plan(config, PARTITIONS, List.of())), List.of()));
    }
    service = LockService.start(HostOptions.tuned(config, directory.resolve("state")));
  }

  KafkaCluster cluster() {
    return cluster;
  }

  LockstepConfig config() {
    return config;
  }

  /** A client whose sessions last 3 s. */
  LockClient client() {
    return LockClient.connect(LockClientOptions.of(config).withTtl(Duration.ofSeconds(3)));
  }

  @Override
  public void close() {
    service.close();
    cluster.close();
  }
}
