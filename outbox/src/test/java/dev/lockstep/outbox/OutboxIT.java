package dev.lockstep.outbox;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.ChildJvm;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

class OutboxIT {

  private static final int KEYS = 12;

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static PostgresServer postgres;

  private String name;
  private HikariDataSource dataSource;
  private Outbox outbox;
  private RelayOptions options;
  private String topic;
  private OutboxRelay lastRelay;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    postgres = PostgresServer.start(directory.resolve("pg"));
  }

  @AfterAll
  static void stopServers() {
    postgres.close();
    cluster.close();
  }

  /** A server takes a hundred connections: pools of all tests together are too many. */
  @AfterEach
  void closeOutbox() {
    if (lastRelay != null) {
      lastRelay.close();
    }
    dataSource.close();
  }

  @BeforeEach
  void createOutbox(TestInfo info) throws Exception {
    name = info.getTestMethod().orElseThrow().getName().toLowerCase(java.util.Locale.ROOT);
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(postgres.createDatabase(name.substring(0, Math.min(40, name.length()))));
    pool.setMaximumPoolSize(20);
    dataSource = new HikariDataSource(pool);
    outbox = new Outbox(dataSource);
    outbox.migrate();
    outbox.migrate();
    LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
    options = RelayOptions.of(config, name.substring(0, Math.min(60, name.length())));
    topic = "out-" + name;
    createTopics(config);
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE TABLE account (key text PRIMARY KEY, version bigint NOT NULL)");
      for (int i = 0; i < KEYS; i++) {
        statement.execute("INSERT INTO account VALUES ('key-" + i + "', 0)");
      }
    }
  }

  private void createTopics(LockstepConfig config) {
    try (Admin admin = Admin.create(config.client())) {
      KafkaCluster.createTopics(
          admin,
          new NewTopic(topic, Optional.of(3), Optional.empty()),
          new NewTopic(options.positionsTopic(), Optional.of(4), Optional.empty()));
    }
  }

  @Test
  void publishesEachCommittedMessageOnceInCommitOrderPerKey() throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);

    Map<String, Long> committed = writeWhileRelaysChange(7L);

    await()
        .atMost(Duration.ofSeconds(30))
        .untilAsserted(() -> assertThat(read(topic)).hasSize(total(committed)));
    assertVersionsRiseByOne(read(topic), committed);
  }

  /** A shard that needed a second connection waited for the others, and they for it. */
  @Test
  void relayNeedsNoMoreConnectionsThanShards() throws Exception {
    outbox.register(topic, Lane.EXPRESS, 3);
    publish(OutboxMessage.of(topic, "k", bytes("1")));
    HikariConfig small = new HikariConfig();
    small.setDataSource(dataSource);
    small.setMaximumPoolSize(4);
    small.setConnectionTimeout(60_000);
    try (HikariDataSource four = new HikariDataSource(small);
        OutboxRelay relay = OutboxRelay.start(new Outbox(four), options)) {
      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(
              () ->
                  assertThat(relay.health().shards().values())
                      .hasSize(4)
                      .containsOnly("STREAMING"));
      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(() -> assertThat(read(topic)).hasSize(1));
      assertThat(relay.health().faults()).isEmpty();
    }
  }

  @Test
  void missingTopicsStopTheStartAllAtOnce() {
    outbox.register("not-there", Lane.EXACTLY_ONCE, 0);
    outbox.register("not-there-either", Lane.EXPRESS, 2);

    assertThatThrownBy(() -> OutboxRelay.start(outbox, options))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("topic 'not-there' is registered with the outbox and does not exist")
        .hasMessageContaining("topic 'not-there-either'");
  }

  @Test
  void expressLaneRepeatsOnlyWithTheSameRowId() throws Exception {
    outbox.register(topic, Lane.EXPRESS, 3);

    Map<String, Long> committed = writeWhileRelaysChange(8L);

    await()
        .atMost(Duration.ofSeconds(30))
        .untilAsserted(() -> assertThat(firstByRow(read(topic))).hasSize(total(committed)));
    assertVersionsRiseByOne(firstByRow(read(topic)), committed);
  }

  @Test
  void relaysThatAreKilledLoseNothingAndRepeatNothing() throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    Random random = new Random(9);
    ExecutorService writers = Executors.newFixedThreadPool(4);
    try {
      List<Future<Void>> running = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        running.add(writers.submit(writer(new Random(900 + i), 400)));
      }
      for (int kill = 0; kill < 4; kill++) {
        try (ChildJvm relay = relayProcess("relay-" + kill)) {
          int before = read(topic).size();
          await().atMost(Duration.ofSeconds(40)).until(() -> read(topic).size() > before);
          Duration life = Duration.ofMillis(100 + random.nextInt(900));
          await().pollDelay(life).until(() -> true);
          relay.kill();
        }
        if (kill < 3) {
          writers.submit(writer(new Random(950 + kill), 100)).get();
        }
      }
      for (Future<Void> future : running) {
        future.get();
      }
    } finally {
      writers.shutdownNow();
    }
    lastRelay = OutboxRelay.start(outbox, options);
    Map<String, Long> committed = versions();
    await()
        .atMost(Duration.ofSeconds(40))
        .untilAsserted(() -> assertThat(read(topic)).hasSize(total(committed)));
    assertVersionsRiseByOne(read(topic), committed);
  }

  private ChildJvm relayProcess(String place) {
    return ChildJvm.start(
        place,
        directory.resolve(place + ".log"),
        List.of("-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        RelayMain.class.getName(),
        List.of(cluster.bootstrapServers(), options.name(), dataSource.getJdbcUrl(), "100"));
  }

  @Test
  void inboxTakesEachMessageOnceEvenFromTwoThreads() throws Exception {
    Instant now = Instant.parse("2026-11-22T12:00:00Z");
    Inbox inbox = new Inbox("billing", Clock.fixed(now, ZoneOffset.UTC));
    ExecutorService threads = Executors.newFixedThreadPool(2);
    List<Future<Integer>> running = new ArrayList<>();
    for (int i = 0; i < 2; i++) {
      running.add(
          threads.submit(
              () -> {
                int first = 0;
                for (int id = 0; id < 100; id++) {
                  try (Connection connection = dataSource.getConnection()) {
                    connection.setAutoCommit(false);
                    boolean isNew = inbox.isFirst(connection, "message-" + id, now);
                    if (isNew && id % 10 == 0) {
                      // the handler failed: the message must count as new again
                      connection.rollback();
                      isNew = inbox.isFirst(connection, "message-" + id, now);
                    }
                    first += isNew ? 1 : 0;
                    connection.commit();
                  }
                }
                return first;
              }));
    }
    int taken = 0;
    for (Future<Integer> future : running) {
      taken += future.get();
    }
    threads.shutdown();

    assertThat(taken).isEqualTo(100);
    try (Connection connection = dataSource.getConnection()) {
      assertThat(inbox.isFirst(connection, "message-1", now)).isFalse();
      assertThat(new Inbox("shipping").isFirst(connection, "message-1", now)).isTrue();
    }
  }

  @Test
  void dropsWhatWasPublishedBehindASavepointThatWasRolledBack() throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    try (OutboxRelay relay = OutboxRelay.start(outbox, options)) {
      outbox.inTransaction(
          tx -> {
            tx.publish(OutboxMessage.of(topic, "k", bytes("before")));
            Savepoint savepoint = tx.connection().setSavepoint();
            tx.publish(OutboxMessage.of(topic, "k", bytes("dropped")));
            tx.connection().rollback(savepoint);
            tx.publish(OutboxMessage.of(topic, "k", bytes("after")));
          });

      await()
          .atMost(Duration.ofSeconds(20))
          .untilAsserted(() -> assertThat(read(topic)).hasSize(2));
      assertThat(read(topic))
          .extracting(r -> new String(r.value(), StandardCharsets.UTF_8))
          .containsExactly("before", "after");
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void failedTransactionPublishesNothing() {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);

    assertThatThrownBy(
            () ->
                outbox.inTransaction(
                    tx -> {
                      tx.publish(OutboxMessage.of(topic, "k", bytes("x")));
                      throw new SQLException("business says no");
                    }))
        .hasMessage("business says no");

    assertThat(rowCount()).isZero();
  }

  /** The fault is told before the relay has got rid of its open transaction. */
  @Test
  void brokerOutageIsToldWhileItLasts() throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    RelayOptions quick =
        options
            .withPageRows(100)
            .withLongestPoll(Duration.ofMillis(50))
            .withTransactionTimeout(Duration.ofSeconds(5));
    try (OutboxRelay relay = OutboxRelay.start(outbox, quick)) {
      outbox.inTransaction(tx -> tx.publish(OutboxMessage.of(topic, "k", new byte[] {1})));
      await().atMost(Duration.ofSeconds(30)).until(() -> read(topic).size() == 1);

      cluster.node(1).pause();
      try {
        outbox.inTransaction(tx -> tx.publish(OutboxMessage.of(topic, "k", new byte[] {2})));
        await()
            .atMost(Duration.ofSeconds(30))
            .untilAsserted(() -> assertThat(relay.health().isHealthy()).isFalse());
      } finally {
        cluster.node(1).resume();
      }

      await().atMost(Duration.ofSeconds(60)).until(() -> read(topic).size() == 2);
      await().atMost(Duration.ofSeconds(30)).until(() -> relay.health().isHealthy());
    }
  }

  /** A position topic that is made anew says that nothing was published, which is not so. */
  @Test
  void positionTopicMadeAnewIsRefused() throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    OutboxRelay.start(outbox, options).close();
    try (Admin admin = Admin.create(options.config().client())) {
      admin.deleteTopics(List.of(options.positionsTopic())).all().get();
      await()
          .atMost(Duration.ofSeconds(20))
          .until(() -> !admin.listTopics().names().get().contains(options.positionsTopic()));
      KafkaCluster.createTopics(
          admin, new NewTopic(options.positionsTopic(), Optional.of(4), Optional.empty()));
    }

    assertThatThrownBy(() -> OutboxRelay.start(outbox, options))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("would publish everything in the ledger again");

    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("UPDATE lockstep_outbox_meta SET positions_topic_id = NULL");
    }
    OutboxRelay.start(outbox, options).close();
  }

  /** It knows nothing of what was published to the other one. */
  @Test
  void anotherKafkaClusterIsRefused(@TempDir Path elsewhere) throws Exception {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    OutboxRelay.start(outbox, options).close();
    try (KafkaCluster other = KafkaCluster.start(elsewhere, 1, BrokerProfile.TUNED)) {
      LockstepConfig there = LockstepConfig.of(other.bootstrapServers());
      createTopics(there);

      assertThatThrownBy(() -> OutboxRelay.start(outbox, RelayOptions.of(there, options.name())))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("would publish everything in the ledger again");
    }
    OutboxRelay.start(outbox, options).close();
  }

  @Test
  void refusesWhatCouldNotBePublished() {
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);

    assertThatThrownBy(() -> publish(OutboxMessage.of("nowhere", "k", bytes("x"))))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("Topic 'nowhere' is not registered");
    assertThatThrownBy(() -> publish(OutboxMessage.of(topic, "k", new byte[1_000_001])))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("the topic takes 1000000");
    assertThatThrownBy(() -> outbox.register(topic, Lane.EXPRESS, 0))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("cannot become lane EXPRESS");
  }

  private void publish(OutboxMessage message) throws SQLException {
    outbox.inTransaction(
        tx -> {
          tx.publish(message);
        });
  }

  /** Writers whose commits overtake each other, with rollbacks, while relays come and go. */
  private Map<String, Long> writeWhileRelaysChange(long seed) throws Exception {
    ExecutorService writers = Executors.newFixedThreadPool(8);
    List<Future<Void>> running = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      running.add(writers.submit(writer(new Random(seed * 100 + i), 150)));
    }
    for (int relays = 1; ; relays++) {
      OutboxRelay relay = OutboxRelay.start(outbox, options);
      await().atMost(Duration.ofSeconds(20)).until(() -> relay.health().shards().size() == 4);
      await().pollDelay(Duration.ofMillis(700)).until(() -> true);
      if (relays >= 3 && running.stream().allMatch(Future::isDone)) {
        for (Future<Void> future : running) {
          future.get();
        }
        writers.shutdown();
        lastRelay = relay;
        return versions();
      }
      relay.close();
    }
  }

  private Callable<Void> writer(Random random, int transactions) {
    return () -> {
      for (int i = 0; i < transactions; i++) {
        boolean rollback = random.nextInt(8) == 0;
        int rows = 1 + random.nextInt(4);
        try {
          outbox.inTransaction(
              tx -> {
                Set<String> keys = new HashSet<>();
                for (int r = 0; r < rows; r++) {
                  keys.add("key-" + random.nextInt(KEYS));
                }
                for (String key : new java.util.TreeSet<>(keys)) {
                  long version = bump(tx.connection(), key);
                  tx.publish(OutboxMessage.of(topic, key, bytes(key + " " + version)));
                }
                if (random.nextInt(5) == 0) {
                  try (Statement slow = tx.connection().createStatement()) {
                    slow.execute("SELECT pg_sleep(0.03)");
                  }
                }
                if (rollback) {
                  throw new SQLException("rolled back on purpose");
                }
              });
        } catch (SQLException e) {
          if (!rollback) {
            throw e;
          }
        }
      }
      return null;
    };
  }

  private static long bump(Connection connection, String key) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE account SET version = version + 1 WHERE key = ? RETURNING version")) {
      update.setString(1, key);
      try (ResultSet row = update.executeQuery()) {
        row.next();
        return row.getLong(1);
      }
    }
  }

  private Map<String, Long> versions() throws SQLException {
    Map<String, Long> versions = new TreeMap<>();
    try (Connection connection = dataSource.getConnection();
        ResultSet rows =
            connection.createStatement().executeQuery("SELECT key, version FROM account")) {
      while (rows.next()) {
        versions.put(rows.getString(1), rows.getLong(2));
      }
    }
    return versions;
  }

  private long rowCount() {
    try (Connection connection = dataSource.getConnection();
        ResultSet row =
            connection.createStatement().executeQuery("SELECT count(*) FROM lockstep_outbox")) {
      row.next();
      return row.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  private static int total(Map<String, Long> committed) {
    return (int) committed.values().stream().mapToLong(Long::longValue).sum();
  }

  private void assertVersionsRiseByOne(
      List<ConsumerRecord<byte[], byte[]>> records, Map<String, Long> committed) {
    Map<String, Long> seen = new HashMap<>();
    for (ConsumerRecord<byte[], byte[]> record : records) {
      String[] value = new String(record.value(), StandardCharsets.UTF_8).split(" ");
      assertThat(Long.parseLong(value[1]))
          .as("version of %s", value[0])
          .isEqualTo(seen.getOrDefault(value[0], 0L) + 1);
      seen.put(value[0], Long.parseLong(value[1]));
    }
    assertThat(seen).isEqualTo(committed);
  }

  private static List<ConsumerRecord<byte[], byte[]>> firstByRow(
      List<ConsumerRecord<byte[], byte[]>> records) {
    Set<Object> rows = new HashSet<>();
    return records.stream().filter(r -> rows.add(RowSource.of(r.headers()).row())).toList();
  }

  private List<ConsumerRecord<byte[], byte[]>> read(String from) {
    Map<String, Object> settings = new HashMap<>(options.config().client());
    settings.put("isolation.level", "read_committed");
    settings.put("auto.offset.reset", "earliest");
    settings.put("fetch.max.wait.ms", "10");
    List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          List.of(
              new TopicPartition(from, 0),
              new TopicPartition(from, 1),
              new TopicPartition(from, 2));
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        consumer.poll(Duration.ofMillis(100)).forEach(all::add);
      }
    }
    return all;
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }
}
