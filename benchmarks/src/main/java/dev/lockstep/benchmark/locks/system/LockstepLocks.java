package dev.lockstep.benchmark.locks.system;

import static java.util.Objects.requireNonNull;

import dev.lockstep.benchmark.locks.LockDriver;
import dev.lockstep.benchmark.locks.LockSystem;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClient;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.process.ChildJvm;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.common.utils.AppInfoParser;

/** Lockstep: a broker and a lock service, each a process of its own. */
public final class LockstepLocks implements LockSystem {

  private static final Duration PATIENCE = Duration.ofSeconds(60);

  private final KafkaCluster cluster;
  private final LockstepConfig config;
  private final Path directory;
  private final int partitions;
  private final String profile;
  private final Map<String, ChildJvm> services = new LinkedHashMap<>();

  /**
   * Starts a tuned broker and one service.
   *
   * @param directory for their files
   * @param partitions of the lock topics
   */
  public LockstepLocks(Path directory, int partitions) {
    this(directory, BrokerProfile.TUNED, partitions);
    start("service");
  }

  /**
   * Starts a broker alone.
   *
   * @param directory for its files
   * @param profile of the broker; services follow it
   * @param partitions of the lock topics
   */
  public LockstepLocks(Path directory, BrokerProfile profile, int partitions) {
    this.directory = directory;
    this.partitions = partitions;
    this.profile = profile == BrokerProfile.STOCK ? "stock" : "tuned";
    cluster = KafkaCluster.start(directory.resolve("kafka"), 1, profile);
    config = LockstepConfig.of(cluster.bootstrapServers());
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(
          new TopicPlan(List.of(LockTopics.plan(config, partitions, List.of())), List.of()));
    }
  }

  /**
   * Starts a service, or a twin if that is its name.
   *
   * @param place name; keeps its local state
   */
  public void start(String place) {
    start(place, "512m");
  }

  /**
   * Starts a service with another heap.
   *
   * @param place name; keeps its local state
   * @param heap as for {@code -Xmx}
   * @return its process id
   */
  public long start(String place, String heap) {
    List<String> arguments =
        List.of(
            cluster.bootstrapServers(),
            directory.resolve("state-" + place).toString(),
            profile,
            place);
    ChildJvm service =
        ChildJvm.start(
            place,
            directory.resolve(place + ".log"),
            List.of("-Xmx" + heap, "-XX:+UseParallelGC"),
            LockServiceMain.class.getName(),
            arguments);
    services.put(place, service);
    return service.pid();
  }

  /**
   * Ends a service in order.
   *
   * @param place its name
   */
  public void stop(String place) {
    requireNonNull(services.get(place)).stop();
  }

  /**
   * Returns how to reach the broker.
   *
   * @return configuration
   */
  public LockstepConfig config() {
    return config;
  }

  /**
   * Kills a service with SIGKILL.
   *
   * @param place its name
   */
  public void kill(String place) {
    requireNonNull(services.get(place)).kill();
  }

  /**
   * Ends a service in order and starts it again, as a new release is rolled out.
   *
   * @param place its name
   */
  public void restart(String place) {
    stop(place);
    start(place);
  }

  @Override
  public String name() {
    return "lockstep";
  }

  @Override
  public String version() {
    return "Kafka %s, one broker, partitions: %d, acks=all; no fsync per record"
        .formatted(AppInfoParser.getVersion(), partitions);
  }

  @Override
  public List<String> variants() {
    return List.of("async", "blocking", "follower", "follower-blocking");
  }

  @Override
  public LockDriver connect(String variant, int clients) {
    LockClientOptions options =
        LockClientOptions.of(config).withNesting(LockClientOptions.Nesting.ALLOWED);
    boolean async = !variant.endsWith("blocking");
    LockClient client =
        LockClient.connect(variant.startsWith("follower") ? options.withFollower() : options);
    return new LockDriver() {
      @Override
      public boolean isAsync() {
        return async;
      }

      @Override
      public CompletableFuture<Held> acquire(int number, String key) throws Exception {
        if (async) {
          return client.lock(key).acquireAsync(PATIENCE).thenApply(lease -> lease::release);
        }
        Lease lease = client.lock(key).acquire(PATIENCE);
        return CompletableFuture.completedFuture(lease::release);
      }

      @Override
      public void close() {
        client.close();
      }
    };
  }

  @Override
  public void close() {
    services.values().forEach(ChildJvm::close);
    cluster.close();
  }
}
