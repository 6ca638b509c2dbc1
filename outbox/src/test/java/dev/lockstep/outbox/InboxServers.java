package dev.lockstep.outbox;

import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.process.ChildJvm;
import java.nio.file.Path;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** A broker, a database of each kind, and what tests of inboxes have in common. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
abstract class InboxServers {

  private final Map<TestDatabase.Kind, TestDatabase> databases =
      new EnumMap<>(TestDatabase.Kind.class);
  private Path directory;
  private KafkaCluster cluster;
  private int worlds;

  @BeforeAll
  void startServers(@TempDir Path temporary) {
    directory = temporary;
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    for (TestDatabase.Kind kind : TestDatabase.Kind.values()) {
      databases.put(kind, TestDatabase.start(kind, directory));
    }
  }

  @AfterAll
  void stopServers() {
    databases.values().forEach(TestDatabase::close);
    cluster.close();
  }

  KafkaCluster cluster() {
    return cluster;
  }

  OutboxWorld world(TestDatabase.Kind kind, String prefix) throws Exception {
    return new OutboxWorld(
        cluster,
        databases.get(kind),
        prefix + kind.name().toLowerCase(Locale.ROOT) + "_" + worlds++);
  }

  static String topic(OutboxWorld world) {
    return world.options.name() + "-in";
  }

  static InboxOptions options(OutboxWorld world, Mode mode) {
    return InboxOptions.of(world.config, world.options.name() + "-reader", mode, topic(world));
  }

  ChildJvm consumer(OutboxWorld world, Mode mode, String topic, int number) {
    return ChildJvm.start(
        "consumer-" + number,
        directory.resolve(topic + "-" + number + ".log"),
        List.of("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        InboxMain.class.getName(),
        List.of(cluster.bootstrapServers(), mode.name(), topic, world.dataSource.getJdbcUrl()));
  }
}
