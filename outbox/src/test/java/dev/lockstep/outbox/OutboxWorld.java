package dev.lockstep.outbox;

import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.awaitility.core.ThrowingRunnable;

/**
 * A database with an outbox of its own, its position topic, and what a test needs to look at it.
 */
final class OutboxWorld implements AutoCloseable {

  final LockstepConfig config;
  final RelayOptions options;
  final HikariDataSource dataSource;
  final Outbox outbox;
  final OutboxAdmin admin;
  private final Admin kafka;

  OutboxWorld(KafkaCluster cluster, PostgresServer postgres, String name)
      throws ExecutionException, InterruptedException {
    this(cluster, postgres.createDatabase(name), name, false);
  }

  OutboxWorld(KafkaCluster cluster, TestDatabase database, String name)
      throws ExecutionException, InterruptedException {
    this(cluster, database.create().apply(name), name, database.isFollowed());
  }

  OutboxWorld(KafkaCluster cluster, String url, String name, boolean isFollowed)
      throws ExecutionException, InterruptedException {
    this(options(cluster, url, name, isFollowed), url);
    outbox.migrate();
    createPositions();
    if (isFollowed) {
      prepareWal();
    }
  }

  private OutboxWorld(RelayOptions options, String url) {
    this.config = options.config();
    this.options = options;
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(url);
    pool.setMaximumPoolSize(20);
    this.dataSource = new HikariDataSource(pool);
    this.outbox = new Outbox(dataSource);
    this.admin = new OutboxAdmin(dataSource);
    this.kafka = Admin.create(config.client());
  }

  /** The same outbox in another database, with the topics that are there. */
  OutboxWorld in(String url) {
    return new OutboxWorld(options, url);
  }

  void createPositions() throws ExecutionException, InterruptedException {
    createTopic(options.positionsTopic(), 4, Map.of("cleanup.policy", "compact"));
  }

  private static RelayOptions options(
      KafkaCluster cluster, String url, String name, boolean isFollowed) {
    RelayOptions ledger =
        RelayOptions.of(LockstepConfig.of(cluster.bootstrapServers()), name.replace('_', '-'))
            .withLongestPoll(Duration.ofMillis(50));
    return isFollowed ? ledger.withWal(WalSource.of(url, new Properties())) : ledger;
  }

  private void prepareWal() {
    try (InputStream script = Outbox.class.getResourceAsStream("wal-postgresql.sql")) {
      execute(new String(script.readAllBytes(), StandardCharsets.UTF_8));
    } catch (IOException | SQLException e) {
      throw new IllegalStateException("The log cannot be followed", e);
    }
  }

  Admin kafka() {
    return kafka;
  }

  String createTopic(String topic, int partitions, Map<String, String> settings) {
    KafkaCluster.createTopics(
        kafka, new NewTopic(topic, Optional.of(partitions), Optional.empty()).configs(settings));
    return topic;
  }

  void publish(OutboxMessage... messages) throws SQLException {
    outbox.inTransaction(
        tx -> {
          for (OutboxMessage message : messages) {
            tx.publish(message);
          }
        });
  }

  void execute(String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  long number(String sql) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
    } catch (SQLException e) {
      throw new AssertionError(e);
    }
  }

  String text(String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getString(1);
    }
  }

  /** Returns the first column. */
  List<String> texts(String sql) throws SQLException {
    List<String> all = new ArrayList<>();
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      while (row.next()) {
        all.add(row.getString(1));
      }
    }
    return all;
  }

  /** Returns {@code key=value} of each committed record, partition by partition. */
  List<String> read(String topic) {
    return records(topic).stream().map(r -> text(r.key()) + "=" + text(r.value())).toList();
  }

  /** Returns the same without repeats of a row, as a receiver of the express lane sees it. */
  List<String> readOnce(String topic) {
    Set<UUID> rows = new HashSet<>();
    return records(topic).stream()
        .filter(r -> rows.add(RowSource.of(r.headers()).row()))
        .map(r -> text(r.key()) + "=" + text(r.value()))
        .toList();
  }

  List<ConsumerRecord<byte[], byte[]>> records(String topic) {
    Map<String, Object> settings = config.shortRead();
    settings.put("isolation.level", "read_committed");
    List<ConsumerRecord<byte[], byte[]>> all = new ArrayList<>();
    try (KafkaConsumer<byte[], byte[]> consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          IntStream.range(0, consumer.partitionsFor(topic).size())
              .mapToObj(p -> new TopicPartition(topic, p))
              .toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
        consumer.poll(Duration.ofMillis(100)).forEach(all::add);
      }
    }
    return all;
  }

  /** The time of the database's clock. */
  Instant now() throws SQLException {
    try (Connection connection = dataSource.getConnection()) {
      return Instant.ofEpochMilli(number("SELECT " + Dialect.of(connection).now()));
    }
  }

  /** Waits until it holds. */
  static void soon(ThrowingRunnable assertion) {
    await().atMost(Duration.ofSeconds(60)).untilAsserted(assertion);
  }

  static OutboxMessage message(String topic, String key, String value) {
    return OutboxMessage.of(topic, key, value.getBytes(StandardCharsets.UTF_8));
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] bytes) {
    return bytes == null ? "null" : new String(bytes, StandardCharsets.UTF_8);
  }

  @Override
  public void close() {
    kafka.close();
    dataSource.close();
  }
}
