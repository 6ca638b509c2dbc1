package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** What is written to the ledger, in which order it leaves, and when it is truncated. */
class LedgerIT {

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static PostgresServer postgres;

  private OutboxWorld world;
  private String topic;

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

  @BeforeEach
  void createWorld(TestInfo info) throws Exception {
    String name = info.getTestMethod().orElseThrow().getName().toLowerCase(Locale.ROOT);
    world = new OutboxWorld(cluster, postgres, name.substring(0, Math.min(40, name.length())));
    topic = world.createTopic("ledger-" + name, 3, Map.of());
    world.outbox.register(topic, Lane.EXACTLY_ONCE, 0);
  }

  @AfterEach
  void closeWorld() {
    world.close();
  }

  @Test
  void messageArrivesAsItWasPublished() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      world.publish(
          message(topic, "a", "{\"x\": \"quotes, {braces}\"}")
              .withHeader("traceparent", "00-\"1\"-{2},3\\4")
              .withHeader("empty", "")
              .toPartition(2),
          OutboxMessage.tombstone(topic, "b").toPartition(1),
          OutboxMessage.of(topic, (byte[]) null, bytes("no key")).toPartition(0));
      soon(() -> assertThat(world.records(topic)).hasSize(3));

      List<ConsumerRecord<byte[], byte[]>> records = world.records(topic);
      assertThat(world.read(topic))
          .containsExactly("null=no key", "b=null", "a={\"x\": \"quotes, {braces}\"}");
      assertThat(LockstepHeaders.text(records.get(2).headers(), "traceparent"))
          .isEqualTo("00-\"1\"-{2},3\\4");
      assertThat(LockstepHeaders.text(records.get(2).headers(), "empty")).isEmpty();
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void aThousandMessagesAreOneStatement() throws Exception {
    world.execute("CREATE TABLE statement_count (n int)");
    world.execute(
        "CREATE FUNCTION count_statement() RETURNS trigger LANGUAGE plpgsql AS"
            + " $$BEGIN INSERT INTO statement_count VALUES (1); RETURN NULL; END$$");
    world.execute(
        "CREATE TRIGGER counted AFTER INSERT ON lockstep_outbox"
            + " FOR EACH STATEMENT EXECUTE FUNCTION count_statement()");
    List<OutboxMessage> messages = new ArrayList<>();
    for (int i = 0; i < 1_000; i++) {
      messages.add(message(topic, "k" + i % 3, "" + i));
    }
    world.publish(messages.toArray(OutboxMessage[]::new));

    assertThat(world.number("SELECT count(*) FROM statement_count")).isEqualTo(1);
    assertThat(
            world.number(
                "SELECT count(*) FROM (SELECT seq - lag(seq) OVER (ORDER BY convert_from(payload,"
                    + " 'UTF8')::int) AS step FROM lockstep_outbox) s WHERE step <> 1"))
        .as("rows out of the order in which they were published")
        .isZero();
  }

  @Test
  void delayedMessageLeavesWhenItIsDue() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(relay.health().shards().values()).hasSize(4).containsOnly("STREAMING"));
      Instant due = databaseTime().plusSeconds(8);
      world.publish(message(topic, "a", "later").notBefore(due), message(topic, "a", "now"));
      soon(() -> assertThat(world.read(topic)).containsExactly("a=now"));
      assertThat(world.admin.status().scheduled()).isEqualTo(1);
      soon(() -> assertThat(world.read(topic)).containsExactly("a=now", "a=later"));
      assertThat(databaseTime()).isAfterOrEqualTo(due);
      assertThat(world.admin.status().scheduled()).isZero();
    }
  }

  @Test
  void writersInAnyLanguagePublishByAFunction() throws Exception {
    world.execute(
        "SELECT lockstep_outbox_publish('%s', 'a', 'x', ARRAY['who', 'sql'])".formatted(topic));
    world.execute("SELECT lockstep_outbox_publish('%s', 'a', NULL)".formatted(topic));
    assertThatThrownBy(() -> world.execute("SELECT lockstep_outbox_publish('nowhere', 'a', 'x')"))
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("not registered");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.read(topic)).containsExactly("a=x", "a=null"));
      assertThat(LockstepHeaders.text(world.records(topic).get(0).headers(), "who"))
          .isEqualTo("sql");
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** A cursor on seq, or on transaction ids, loses or reorders these. */
  @Test
  void rowsThatCommitLateAreNeitherLostNorPutFirst() throws Exception {
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options);
        Connection late = world.dataSource.getConnection();
        Connection prepared = world.dataSource.getConnection()) {
      late.setAutoCommit(false);
      prepared.setAutoCommit(false);
      insert(late, "late", "1");
      insert(prepared, "prepared", "1");
      try (Statement statement = prepared.createStatement()) {
        statement.execute("PREPARE TRANSACTION 'orphan'");
      }
      world.publish(message(topic, "other", "1"));
      soon(() -> assertThat(world.read(topic)).containsExactly("other=1"));

      insert(late, "late", "2");
      late.commit();
      soon(() -> assertThat(world.read(topic)).contains("late=1", "late=2").hasSize(3));
      world.execute("COMMIT PREPARED 'orphan'");
      soon(() -> assertThat(world.read(topic)).contains("prepared=1").hasSize(4));
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** It is read by seq then, from before rows that are published (decision 0021). */
  @Test
  void backlogBehindAStartComesOnceAndWithWhatWasOpenBeforeIt() throws Exception {
    try (Connection late = world.dataSource.getConnection();
        Connection later = world.dataSource.getConnection()) {
      late.setAutoCommit(false);
      later.setAutoCommit(false);
      insert(late, "late", "1");
      insert(later, "later", "1");
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        world.publish(message(topic, "before", "1"));
        soon(() -> assertThat(world.read(topic)).containsExactly("before=1"));
        assertThat(relay.health().isHealthy()).isTrue();
      }
      late.commit();
      world.execute(
          "SELECT lockstep_outbox_publish('%s', ('k' || n %% 50)::bytea, n::text::bytea) FROM generate_series(1, 24000) n"
              .formatted(topic));
      try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
        soon(() -> assertThat(world.records(topic)).hasSize(24_002));
        later.commit();
        soon(() -> assertThat(world.records(topic)).hasSize(24_003));
        assertThat(relay.health().isHealthy()).isTrue();
      }
    }
    List<String> read = world.read(topic);
    assertThat(read).doesNotHaveDuplicates().contains("late=1", "later=1", "k7=7", "k0=24000");
    assertThat(read.stream().filter(message -> message.startsWith("k7=")))
        .containsExactlyElementsOf(
            IntStream.rangeClosed(1, 24_000)
                .filter(n -> n % 50 == 7)
                .mapToObj(n -> "k7=" + n)
                .toList());
  }

  @Test
  void segmentIsTruncatedWhenAllOfItIsPublishedAndNotBefore() throws Exception {
    world.execute("SELECT lockstep_outbox_configure(2, 4, 900)");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options);
        Connection open = world.dataSource.getConnection()) {
      open.setAutoCommit(false);
      insert(open, "open", "1");
      world.publish(message(topic, "a", "1"), message(topic, "b", "1"));
      soon(() -> assertThat(world.read(topic)).hasSize(2));
      assertThat(world.admin.truncatePublished(world.options))
          .as("an open transaction holds the segment")
          .isFalse();
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(2);

      assertThat(world.admin.truncatePublished(world.options.withShards(1)))
          .as("positions of other shards were not read")
          .isFalse();
      open.commit();
      soon(() -> assertThat(world.read(topic)).hasSize(3));
      soon(() -> assertThat(world.admin.truncatePublished(world.options)).isTrue());
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isZero();
      world.publish(message(topic, "a", "2"));
      soon(() -> assertThat(world.read(topic)).contains("a=2").hasSize(4));
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** The clock turns a segment each second here; rows stay for two of them at least. */
  @Test
  void segmentsRotateUnderLoadWithoutLoss() throws Exception {
    world.admin.configure(2, 8, Duration.ofSeconds(1), "test", "a fast clock");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      int last = 0;
      long end = System.nanoTime() + Duration.ofSeconds(20).toNanos();
      while (System.nanoTime() < end) {
        last++;
        world.publish(message(topic, "a", "" + last), message(topic, "b", "" + last));
      }
      int rows = 2 * last;
      soon(() -> assertThat(world.records(topic)).hasSize(rows));
      // one try may meet a lock and time out; the clock turns on
      soon(() -> assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isLessThan(rows));
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void shardsAreChangedWhileTheLedgerIsEmptyOnly() throws Exception {
    world.publish(message(topic, "a", "1"));
    assertThatThrownBy(() -> world.admin.configure(3, 4, Duration.ofMinutes(1), "test", "more"))
        .hasMessageContaining("has rows");
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.read(topic)).hasSize(1));
      soon(() -> assertThat(world.admin.truncatePublished(world.options)).isTrue());
      assertThat(relay.health().isHealthy()).isTrue();
    }
    world.admin.configure(3, 4, Duration.ofMinutes(1), "test", "more");
    assertThatThrownBy(() -> OutboxRelay.start(world.outbox, world.options.withShards(3)))
        .hasMessageContaining("has 4 partitions, needs 6");
    world
        .kafka()
        .createPartitions(Map.of(world.options.positionsTopic(), NewPartitions.increaseTo(6)))
        .all()
        .get();
    soon(
        () -> {
          try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options.withShards(3))) {
            for (int i = 0; i < 20; i++) {
              world.publish(message(topic, "k" + i, "2"));
            }
            soon(() -> assertThat(world.read(topic)).hasSizeGreaterThanOrEqualTo(21));
            assertThat(relay.health().shards()).hasSize(6);
          }
        });
    assertThat(world.number("SELECT count(DISTINCT shard) FROM lockstep_outbox")).isEqualTo(3);
  }

  @Test
  void pageEndsAtEightMebibytes() throws Exception {
    OutboxMessage[] large = new OutboxMessage[60];
    for (int i = 0; i < large.length; i++) {
      large[i] = OutboxMessage.of(topic, "a", new byte[900_000]);
    }
    world.publish(large);
    try (OutboxRelay relay = OutboxRelay.start(world.outbox, world.options)) {
      soon(() -> assertThat(world.records(topic)).hasSize(60));
      assertThat(relay.health().isHealthy()).isTrue();
    }
    // 54 MB in one transaction would be two positions: the takeover and the page
    assertThat(world.records(world.options.positionsTopic())).hasSizeGreaterThan(4 + 5);
  }

  /** The clock that decides. */
  private Instant databaseTime() {
    return Instant.ofEpochMilli(world.number("SELECT extract(epoch FROM now()) * 1000"));
  }

  private void insert(Connection connection, String key, String value) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(
          "SELECT lockstep_outbox_publish('%s', '%s', '%s')".formatted(topic, key, value));
    }
  }
}
