package dev.lockstep.lock;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.internal.client.LockLayout;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.lock.LockChecker;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;

/** A broker with the lock topics, and a lock service on it. */
final class LockWorld implements AutoCloseable {

  static final int PARTITIONS = 4;

  private final KafkaCluster cluster;
  private final LockstepConfig config;
  private final @Nullable LockService service;

  LockWorld(Path directory) {
    this(directory, "", true);
  }

  /** Broker and topics only. */
  static LockWorld withoutService(Path directory) {
    return new LockWorld(directory, "", false);
  }

  /** Broker and topics only; the broker can be reached from network namespaces, too. */
  static LockWorld reachable(Path directory, String address) {
    return new LockWorld(directory, address, false);
  }

  private LockWorld(Path directory, String address, boolean serves) {
    cluster =
        address.isEmpty()
            ? KafkaCluster.start(directory, 1, BrokerProfile.TUNED)
            : KafkaCluster.startReachable(directory, BrokerProfile.TUNED, address);
    config = LockstepConfig.of(cluster.bootstrapServers());
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(
          new TopicPlan(List.of(LockTopics.plan(config, PARTITIONS, List.of())), List.of()));
    }
    service =
        serves ? LockService.start(HostOptions.tuned(config, directory.resolve("state"))) : null;
  }

  KafkaCluster cluster() {
    return cluster;
  }

  LockService service() {
    return Objects.requireNonNull(service);
  }

  LockstepConfig config() {
    return config;
  }

  /** A client whose sessions last 3 s. */
  LockClient client() {
    return LockClient.connect(LockClientOptions.of(config).withTtl(Duration.ofSeconds(3)));
  }

  /** One that learns of grants from the log itself. */
  LockClient clientWithFollower() {
    return LockClient.connect(
        LockClientOptions.of(config).withTtl(Duration.ofSeconds(3)).withFollower());
  }

  /** Goes through everything that stands in the topics of the lock service. */
  LockChecker.Result check() {
    LockChecker checker = new LockChecker(LockLayout.read(config).getTopicEpoch());
    String commands = config.named(LockSchemas.COMMANDS);
    read(
        commands,
        record -> {
          checker.command(record);
          checker.effect(record);
        });
    read(config.named(LockSchemas.EVENTS), checker::effect);
    read(config.named(LockSchemas.REPLIES), checker::effect);
    read(LockTopics.machine(config).rejectedTopic(), checker::effect);
    return checker.check();
  }

  /** Writes down everything that stands in the topics of the lock service. */
  void keepHistory(Path file) throws IOException {
    SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG.and(KernelSchemas.CATALOG));
    try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(file))) {
      for (String topic : List.of(LockSchemas.COMMANDS, LockSchemas.EVENTS, LockSchemas.REPLIES)) {
        read(
            config.named(topic),
            record ->
                out.printf(
                    "%s-%d %d %d %s %s%n",
                    topic,
                    record.partition(),
                    record.offset(),
                    record.timestamp(),
                    LockstepHeaders.text(record.headers(), LockstepHeaders.POSITION),
                    codec.decode(record.value())));
      }
    }
  }

  private void read(String topic, Consumer<ConsumerRecord<byte[], byte[]>> each) {
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(
            config.client(), new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream()
              .map(info -> new TopicPartition(topic, info.partition()))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        consumer.poll(Duration.ofMillis(200)).forEach(each);
      }
    }
  }

  @Override
  public void close() {
    if (service != null) {
      service.close();
    }
    cluster.close();
  }
}
