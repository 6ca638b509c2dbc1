package dev.lockstep.testkit.kafka;

import dev.lockstep.testkit.process.ChildJvm;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.Uuid;
import org.jspecify.annotations.Nullable;

/**
 * A Kafka cluster of real brokers, each a process of its own, all on loopback.
 *
 * <p>Brokers are KRaft nodes, broker and controller in one unless said otherwise. Data survives
 * {@link Node#kill()} and {@link Node#restart()}; ports never change. Not thread-safe.
 */
public final class KafkaCluster implements AutoCloseable {

  private static final Duration START_TIMEOUT = Duration.ofSeconds(60);
  private static final Duration TOPIC_POLL = Duration.ofMillis(20);
  private static final int CONTROLLER_ID = 100;
  private static final String PLAIN_LOGIN =
      "org.apache.kafka.common.security.plain.PlainLoginModule required ";

  private final List<Node> nodes;
  private final String further;

  private KafkaCluster(List<Node> nodes, String further) {
    this.nodes = nodes;
    this.further = further;
  }

  /**
   * Starts one broker that can also be reached from outside the loopback network.
   *
   * @param directory where data and broker output go; created if missing
   * @param profile broker settings
   * @param address further address of this machine to listen on
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the broker is not ready within 60 s
   */
  public static KafkaCluster startReachable(Path directory, BrokerProfile profile, String address) {
    Ports own = new Ports(1, FreePort.find(), FreePort.find(), 0);
    String outside = address + ":" + FreePort.find();
    Map<String, String> listeners =
        Map.of(
            "listeners",
            "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,OUTSIDE://%s"
                .formatted(own.broker(), own.controller(), outside),
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OUTSIDE:PLAINTEXT");
    return launch(directory, List.of(own), profile, ports -> listeners, outside);
  }

  /**
   * Starts one broker that checks rights, with KRaft's own authorizer. Clients of {@link
   * #bootstrapServers()} may do everything; those of {@link #guardedBootstrapServers()} log in by
   * SASL/PLAIN and may do what ACLs allow: nothing at first.
   *
   * @param directory where data and broker output go; created if missing
   * @param profile broker settings
   * @param users names and passwords, letters and digits only
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the broker is not ready within 60 s
   */
  public static KafkaCluster startGuarded(
      Path directory, BrokerProfile profile, Map<String, String> users) {
    return startGuarded(directory, 1, profile, users);
  }

  /**
   * Starts the same with several brokers.
   *
   * @param directory where data and broker output go; created if missing
   * @param size number of brokers, 1 or 3
   * @param profile broker settings
   * @param users names and passwords, letters and digits only
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the brokers are not ready within 60 s
   */
  public static KafkaCluster startGuarded(
      Path directory, int size, BrokerProfile profile, Map<String, String> users) {
    List<Ports> ports = ports(size);
    Map<Integer, String> guarded =
        ports.stream().collect(Collectors.toMap(Ports::id, p -> "127.0.0.1:" + FreePort.find()));
    return launch(
        directory,
        ports,
        profile,
        own -> guarded(own, Objects.requireNonNull(guarded.get(own.id())), users),
        String.join(",", guarded.values()));
  }

  private static Map<String, String> guarded(Ports own, String address, Map<String, String> users) {
    return Map.of(
        "listeners",
        "PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d,GUARDED://%s"
            .formatted(own.broker(), own.controller(), address),
        "listener.security.protocol.map",
        "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,GUARDED:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms",
        "PLAIN",
        "listener.name.guarded.plain.sasl.jaas.config",
        users.entrySet().stream()
            .map(user -> "user_%s=\"%s\"".formatted(user.getKey(), user.getValue()))
            .collect(Collectors.joining(" ", PLAIN_LOGIN, ";")),
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users",
        "User:ANONYMOUS");
  }

  /**
   * Returns what a client needs to log in at a guarded cluster.
   *
   * @param user name that the cluster was started with
   * @param password of that user
   * @return client settings
   */
  public static Map<String, String> login(String user, String password) {
    return Map.of(
        "security.protocol",
        "SASL_PLAINTEXT",
        "sasl.mechanism",
        "PLAIN",
        "sasl.jaas.config",
        "%susername=\"%s\" password=\"%s\";".formatted(PLAIN_LOGIN, user, password));
  }

  /**
   * Starts a cluster with a profile's settings.
   *
   * @param directory where data and broker output go; created if missing
   * @param size number of brokers, 1 or 3
   * @param profile broker settings
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the brokers are not ready within 60 s; the message names
   *     their output files
   */
  public static KafkaCluster start(Path directory, int size, BrokerProfile profile) {
    return start(directory, size, profile, Map.of());
  }

  /**
   * Starts a cluster with a profile's settings and further ones.
   *
   * @param directory where data and broker output go; created if missing
   * @param size number of brokers, 1 or 3
   * @param profile broker settings
   * @param overrides broker properties that win over everything else
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the brokers are not ready within 60 s
   */
  public static KafkaCluster start(
      Path directory, int size, BrokerProfile profile, Map<String, String> overrides) {
    return launch(directory, ports(size), profile, overrides);
  }

  private static List<Ports> ports(int size) {
    if (size != 1 && size != 3) {
      throw new IllegalArgumentException("A test cluster has 1 or 3 brokers, asked for " + size);
    }
    List<Ports> ports = new ArrayList<>();
    for (int id = 1; id <= size; id++) {
      ports.add(new Ports(id, FreePort.find(), FreePort.find(), 0));
    }
    return ports;
  }

  /**
   * Starts three brokers with clocks that differ.
   *
   * @param directory where data and broker output go; created if missing
   * @param profile broker settings
   * @param aheadMillis per broker, how far its wall clock is ahead; may be negative
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the brokers are not ready within 60 s
   */
  public static KafkaCluster startSkewed(
      Path directory, BrokerProfile profile, List<Long> aheadMillis) {
    List<Ports> ports = new ArrayList<>();
    for (int i = 0; i < aheadMillis.size(); i++) {
      ports.add(new Ports(i + 1, FreePort.find(), FreePort.find(), aheadMillis.get(i)));
    }
    return launch(directory, ports, profile, Map.of());
  }

  /**
   * Starts one broker with a controller in a process of its own, as production clusters have it.
   *
   * <p>With stock settings a broker that was killed and restarted is let in again about 11 s after
   * the kill; a broker that is its own controller needs 17 s or more, because its session starts
   * anew with the controller (broker.session.timeout.ms, 9 s, and doubling pauses between tries).
   *
   * @param directory where data and broker output go; created if missing
   * @param profile broker settings
   * @return the cluster, ready for clients
   * @throws IllegalStateException when the broker is not ready within 60 s
   */
  public static KafkaCluster startWithController(Path directory, BrokerProfile profile) {
    return launch(
        directory,
        List.of(
            new Ports(1, FreePort.find(), 0, 0), new Ports(CONTROLLER_ID, 0, FreePort.find(), 0)),
        profile,
        Map.of());
  }

  private static KafkaCluster launch(
      Path directory, List<Ports> ports, BrokerProfile profile, Map<String, String> overrides) {
    return launch(directory, ports, profile, own -> overrides, "");
  }

  private static KafkaCluster launch(
      Path directory,
      List<Ports> ports,
      BrokerProfile profile,
      Function<Ports, Map<String, String>> overrides,
      String further) {
    String clusterId = Uuid.randomUuid().toString();
    String voters =
        ports.stream()
            .filter(p -> p.controller() > 0)
            .map(p -> p.id() + "@127.0.0.1:" + p.controller())
            .collect(Collectors.joining(","));
    int size = (int) ports.stream().filter(p -> p.broker() > 0).count();
    List<Node> nodes = new ArrayList<>();
    for (Ports own : ports) {
      String kind = own.broker() > 0 ? "broker-" : "controller-";
      Path home = directory.resolve(kind + own.id());
      Map<String, String> settings = BrokerSettings.of(own, size, voters, home);
      settings.putAll(profile.settings());
      settings.putAll(overrides.apply(own));
      Node node = new Node(own, home, settings);
      node.format(clusterId);
      nodes.add(node);
    }
    KafkaCluster cluster = new KafkaCluster(List.copyOf(nodes), further);
    try {
      nodes.forEach(Node::launch);
      cluster.awaitReady();
    } catch (RuntimeException e) {
      cluster.close();
      throw e;
    }
    return cluster;
  }

  /**
   * Returns the addresses for {@code bootstrap.servers}.
   *
   * @return comma separated list of all brokers
   */
  public String bootstrapServers() {
    return nodes.stream()
        .filter(Node::isBroker)
        .map(n -> "127.0.0.1:" + n.port())
        .collect(Collectors.joining(","));
  }

  /**
   * Returns the address for {@code bootstrap.servers} outside the loopback network.
   *
   * @return address of a cluster that was made reachable; empty for others
   */
  public String outsideBootstrapServers() {
    return further;
  }

  /**
   * Returns the address for {@code bootstrap.servers} of clients that log in.
   *
   * @return address of a guarded cluster; empty for others
   */
  public String guardedBootstrapServers() {
    return further;
  }

  /**
   * Returns one broker.
   *
   * @param id 1 for the first
   * @return the broker with this node id
   */
  public Node node(int id) {
    return nodes.get(id - 1);
  }

  /**
   * Waits until every broker is in the cluster.
   *
   * @throws IllegalStateException when that takes longer than 60 s
   */
  public void awaitReady() {
    long end = System.nanoTime() + START_TIMEOUT.toNanos();
    Map<String, Object> config =
        Map.of(
            AdminClientConfig.BOOTSTRAP_SERVERS_CONFIG,
            bootstrapServers(),
            AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG,
            2000,
            AdminClientConfig.RECONNECT_BACKOFF_MAX_MS_CONFIG,
            200);
    try (Admin admin = Admin.create(config)) {
      while (!allPresent(admin)) {
        List<Node> dead = nodes.stream().filter(n -> !n.isAlive()).toList();
        if (!dead.isEmpty() || System.nanoTime() > end) {
          throw new IllegalStateException(
              "Kafka cluster of %d did not become ready; brokers that ended: %s; see %s"
                  .formatted(
                      nodes.size(),
                      dead.stream().map(Node::id).toList(),
                      nodes.stream().map(Node::output).toList()));
        }
      }
    }
  }

  /**
   * Creates topics and waits until brokers know them: the controller's answer comes before that,
   * and who asks a broker in between is told that there is no such topic.
   *
   * @param admin stays open
   * @param topics that do not exist
   * @throws IllegalStateException when they cannot be created, or are not known within 60 s
   */
  public static void createTopics(Admin admin, NewTopic... topics) {
    long end = System.nanoTime() + START_TIMEOUT.toNanos();
    List<String> names = Stream.of(topics).map(NewTopic::name).toList();
    try {
      admin.createTopics(List.of(topics)).all().get();
      while (!areLed(admin, names)) {
        if (System.nanoTime() > end) {
          throw new IllegalStateException("Topics are not known to brokers yet: " + names);
        }
        LockSupport.parkNanos(TOPIC_POLL.toNanos());
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted while creating " + names, e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("Topics cannot be created: " + names, e.getCause());
    }
  }

  private static boolean areLed(Admin admin, List<String> topics) throws InterruptedException {
    try {
      return admin.describeTopics(topics).allTopicNames().get().values().stream()
          .flatMap(topic -> topic.partitions().stream())
          .allMatch(partition -> partition.leader() != null && !partition.leader().isEmpty());
    } catch (ExecutionException e) {
      // not known yet
      return false;
    }
  }

  private boolean allPresent(Admin admin) {
    try {
      return admin.describeCluster().nodes().get(2, TimeUnit.SECONDS).size() == brokers();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Interrupted while waiting for brokers", e);
    } catch (ExecutionException | java.util.concurrent.TimeoutException e) {
      return false;
    }
  }

  private long brokers() {
    return nodes.stream().filter(Node::isBroker).count();
  }

  /** Ends all brokers; data stays where it is. */
  @Override
  public void close() {
    nodes.forEach(Node::close);
  }

  record Ports(int id, int broker, int controller, long aheadMillis) {}

  /** One broker of the cluster. */
  public static final class Node {

    private final int id;
    private final int port;
    private final long aheadMillis;
    private final Path home;
    private final Map<String, String> settings;
    private @Nullable ChildJvm process;

    Node(Ports ports, Path home, Map<String, String> settings) {
      this.id = ports.id();
      this.port = ports.broker();
      this.aheadMillis = ports.aheadMillis();
      this.home = home;
      this.settings = settings;
    }

    /**
     * Returns the node id.
     *
     * @return 1 for the first broker
     */
    public int id() {
      return id;
    }

    /**
     * Returns the port for clients.
     *
     * @return a port on 127.0.0.1
     */
    public int port() {
      return port;
    }

    /** Ends the broker at once with SIGKILL. */
    public void kill() {
      running().kill();
    }

    /** Stops every thread of the broker with SIGSTOP. */
    public void pause() {
      running().pause();
    }

    /** Lets a paused broker go on. */
    public void resume() {
      running().resume();
    }

    /**
     * Returns the directory that holds a folder per partition, for tests that damage a log.
     *
     * @return log directory; touch it only while the broker is dead
     */
    public Path logDirectory() {
      return home.resolve("data");
    }

    /** Ends the broker in order, then starts it again on the same data. */
    public void restart() {
      if (isAlive()) {
        running().stop();
      }
      launch();
    }

    /**
     * Returns the process id of the broker.
     *
     * @return process id
     */
    public long pid() {
      return running().pid();
    }

    boolean isBroker() {
      return port > 0;
    }

    /**
     * Tells whether the broker's process exists: a broker that can write nowhere ends itself.
     *
     * @return true while it exists, also when it is paused
     */
    public boolean isAlive() {
      return process != null && process.isAlive();
    }

    Path output() {
      return home.resolve("broker.log");
    }

    void format(String clusterId) {
      BrokerSettings.format(id, clusterId, home);
    }

    void launch() {
      Path file = home.resolve("server.properties");
      try {
        Files.writeString(
            file,
            settings.entrySet().stream()
                .map(e -> e.getKey() + "=" + e.getValue())
                .sorted()
                .collect(Collectors.joining("\n", "", "\n")));
      } catch (IOException e) {
        throw new UncheckedIOException("Broker settings could not be written to " + file, e);
      }
      process =
          ChildJvm.start(
              "broker-" + id,
              output(),
              BrokerSettings.JVM_ARGUMENTS,
              aheadMillis == 0 ? "kafka.Kafka" : SkewedBroker.class.getName(),
              aheadMillis == 0
                  ? List.of(file.toString())
                  : List.of(file.toString(), Long.toString(aheadMillis)));
    }

    void close() {
      if (process != null) {
        process.kill();
      }
    }

    private ChildJvm running() {
      if (process == null || !process.isAlive()) {
        throw new IllegalStateException("Broker " + id + " does not run; restart it first");
      }
      return process;
    }
  }
}
