package dev.lockstep.testkit.kafka;

import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.metadata.storage.Formatter;
import org.apache.kafka.server.common.MetadataVersion;

/** What a broker of a test cluster is started with. */
final class BrokerSettings {

  static final List<String> JVM_ARGUMENTS =
      List.of(
          "-Xms128m",
          "-Xmx512m",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=4",
          "-Dlogback.configurationFile=dev/lockstep/testkit/broker-logback.xml");

  private BrokerSettings() {}

  /** Settings of a node; a port that is missing takes a role away. */
  static Map<String, String> of(KafkaCluster.Ports ports, int size, String voters, Path home) {
    Map<String, String> settings = new HashMap<>();
    List<String> roles = new ArrayList<>();
    List<String> listeners = new ArrayList<>();
    if (ports.broker() > 0) {
      roles.add("broker");
      listeners.add("PLAINTEXT://127.0.0.1:" + ports.broker());
      settings.put("inter.broker.listener.name", "PLAINTEXT");
    }
    if (ports.controller() > 0) {
      roles.add("controller");
      listeners.add("CONTROLLER://127.0.0.1:" + ports.controller());
    }
    settings.put("process.roles", String.join(",", roles));
    settings.put("listeners", String.join(",", listeners));
    settings.put("node.id", Integer.toString(ports.id()));
    settings.put("controller.quorum.voters", voters);
    settings.put("controller.listener.names", "CONTROLLER");
    settings.put("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
    settings.put("log.dirs", home.resolve("data").toString());
    settings.put("auto.create.topics.enable", "false");
    settings.put("default.replication.factor", Integer.toString(size));
    settings.put("min.insync.replicas", size == 3 ? "2" : "1");
    settings.put("offsets.topic.replication.factor", Integer.toString(size));
    settings.put("transaction.state.log.replication.factor", Integer.toString(size));
    settings.put("transaction.state.log.min.isr", size == 3 ? "2" : "1");
    settings.put("share.coordinator.state.topic.replication.factor", Integer.toString(size));
    settings.put("share.coordinator.state.topic.min.isr", size == 3 ? "2" : "1");
    // 50 internal partitions each would cost a small machine most of its start-up time.
    settings.put("offsets.topic.num.partitions", "4");
    settings.put("transaction.state.log.num.partitions", "4");
    settings.put("num.network.threads", "2");
    settings.put("num.io.threads", "4");
    return settings;
  }

  static void format(int id, String clusterId, Path home) {
    Path data = home.resolve("data");
    try {
      Files.createDirectories(data);
      Formatter formatter =
          new Formatter()
              .setPrintStream(new PrintStream(OutputStream.nullOutputStream()))
              .setNodeId(id)
              .setClusterId(clusterId)
              .setReleaseVersion(MetadataVersion.LATEST_PRODUCTION)
              .setIgnoreFormatted(true)
              .setControllerListenerName("CONTROLLER")
              .setMetadataLogDirectory(data.toString())
              .addDirectory(data.toString());
      formatter.run();
    } catch (Exception e) {
      throw new IllegalStateException(
          "Broker %d: directory %s could not be formatted; is there space and may we write?"
              .formatted(id, data),
          e);
    }
  }
}
