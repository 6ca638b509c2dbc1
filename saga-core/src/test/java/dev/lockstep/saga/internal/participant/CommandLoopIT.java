package dev.lockstep.saga.internal.participant;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.ParticipantService;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.saga.StepContext;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.saga.internal.engine.SagaMachine;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepOutcome;
import dev.lockstep.schema.saga.StepReply;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A participant with bad commands, bad handlers and a bad database: nothing is lost or stops. */
class CommandLoopIT {

  record Do(String how) {}

  record Unwritable(Object anything) {}

  record Large(String text) {}

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static LockstepConfig config;
  private static PostgresServer postgres;
  private static HikariDataSource dataSource;
  private static Outbox outbox;

  private final Payloads payloads = new Payloads(SchemaCatalog.of(Do.class));
  private final SingleObjectCodec codec = new SingleObjectCodec(SagaMachine.CATALOG);
  private KafkaProducer<byte[], byte[]> producer;

  @BeforeAll
  static void startServers() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
    config = LockstepConfig.of(cluster.bootstrapServers());
    Saga<Do> saga =
        Saga.named("test", Do.class)
            .step("do")
            .send(ParticipantRef.of("worker"), state -> state)
            .compensate(ParticipantRef.of("worker"), state -> state)
            .pivot("read")
            .send(ParticipantRef.of("reader"), state -> state)
            .build();
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(
          new TopicPlan(List.of(SagaTopics.plan(config, List.of(saga), 1, 1)), List.of()));
    }
    postgres = PostgresServer.start(directory.resolve("pg"));
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(postgres.createDatabase("work"));
    dataSource = new HikariDataSource(pool);
    outbox = new Outbox(dataSource);
    outbox.migrate();
    execute("CREATE TABLE done (saga text NOT NULL)");
    execute("CREATE TABLE once (saga text UNIQUE DEFERRABLE INITIALLY DEFERRED)");
    execute("INSERT INTO once VALUES ('taken')");
  }

  @AfterAll
  static void stopServers() {
    dataSource.close();
    postgres.close();
    cluster.close();
  }

  private ParticipantService start(String participant) {
    return ParticipantService.start(
        Participant.named(participant).on(Do.class, CommandLoopIT::handle), outbox, config);
  }

  @BeforeEach
  void openProducer() {
    producer =
        new KafkaProducer<>(config.client(), new ByteArraySerializer(), new ByteArraySerializer());
  }

  @AfterEach
  void cleanUp() {
    producer.close();
    execute("DELETE FROM done");
  }

  private static Answer handle(StepContext context, Do command) throws SQLException {
    try (var insert = context.tx().connection().prepareStatement("INSERT INTO done VALUES (?)")) {
      insert.setString(1, context.sagaId());
      insert.executeUpdate();
    }
    return switch (command.how()) {
      case "null" -> nothing();
      case "error" -> throw new AssertionError("broken handler");
      case "unwritable" -> Answer.success(new Unwritable(new Object()));
      case "large" -> Answer.success(new Large("x".repeat(2_000_000)));
      case "refused at the commit" -> {
        execute(context.tx().connection(), "INSERT INTO once VALUES ('taken')");
        yield Answer.success();
      }
      default -> Answer.success();
    };
  }

  @SuppressWarnings("NullAway") // what a careless user does
  private static Answer nothing() {
    return null;
  }

  private static void execute(String sql) {
    try (Connection connection = dataSource.getConnection()) {
      execute(connection, sql);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void execute(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private byte[] command(String sagaId, String how) {
    ByteBuffer payload = payloads.encode(new Do(how));
    return codec.encode(
        new StepCommand(
            sagaId,
            "test",
            "do",
            Direction.ACTION,
            1,
            Payloads.hash(payload),
            0L,
            payload,
            List.of()));
  }

  private void send(String participant, byte[] value) {
    var unused =
        producer.send(
            new ProducerRecord<>(
                config.named(SagaSchemas.commands(participant)),
                0,
                "k".getBytes(StandardCharsets.UTF_8),
                value));
  }

  /** Replies that stand in the outbox: reply by saga. */
  private Map<String, StepReply> replies() {
    Map<String, StepReply> replies = new TreeMap<>();
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet rows =
            statement.executeQuery("SELECT payload FROM lockstep_outbox ORDER BY seq")) {
      while (rows.next()) {
        StepReply reply = (StepReply) codec.decode(rows.getBytes(1));
        replies.put(reply.getSagaId(), reply);
      }
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
    return replies;
  }

  private static long rows(String table) {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet rows = statement.executeQuery("SELECT count(*) FROM " + table)) {
      rows.next();
      return rows.getLong(1);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void whateverAHandlerDoesIsAnsweredAndTheOthersGoOn() {
    try (ParticipantService service = start("worker")) {
      for (String how :
          List.of(
              "well", "null", "error", "unwritable", "large", "refused at the commit", "fine")) {
        send("worker", command("a-" + how, how));
      }

      await().atMost(WAIT).until(() -> replies().containsKey("a-fine"));

      Map<String, StepReply> replies = replies();
      assertThat(replies.get("a-well").getOutcome()).isEqualTo(StepOutcome.SUCCESS);
      assertThat(replies.get("a-fine").getOutcome()).isEqualTo(StepOutcome.SUCCESS);
      assertThat(replies.get("a-null").getOutcome()).isEqualTo(StepOutcome.RETRY);
      assertThat(replies.get("a-null").getReason()).contains("answered null");
      assertThat(replies.get("a-error").getOutcome()).isEqualTo(StepOutcome.RETRY);
      assertThat(replies.get("a-error").getReason()).contains("broken handler");
      assertThat(replies.get("a-unwritable").getOutcome()).isEqualTo(StepOutcome.FAILURE);
      assertThat(replies.get("a-large").getOutcome()).isEqualTo(StepOutcome.FAILURE);
      assertThat(replies.get("a-large").getReason()).contains("it has over 500000 bytes");
      assertThat(replies.get("a-refused at the commit").getOutcome()).isEqualTo(StepOutcome.RETRY);
      assertThat(replies.get("a-refused at the commit").getReason()).contains("once_saga_key");
      assertThat(rows("done")).isEqualTo(2);
      assertThat(service.fault()).isEmpty();
    }
  }

  @Test
  void commandsWaitOutADatabaseThatIsOutOfOrder() {
    try (ParticipantService service = start("worker")) {
      execute("ALTER TABLE lockstep_barrier RENAME TO lockstep_barrier_gone");
      for (int i = 0; i < 100; i++) {
        send("worker", command("b-" + i, "well"));
      }
      await()
          .atMost(WAIT)
          .untilAsserted(
              () ->
                  assertThat(service.fault())
                      .hasValueSatisfying(f -> assertThat(f).contains("lockstep_barrier")));
      assertThat(rows("done")).isZero();

      execute("ALTER TABLE lockstep_barrier_gone RENAME TO lockstep_barrier");

      await().atMost(WAIT).until(() -> rows("done") == 100);
      await().atMost(WAIT).until(() -> service.fault().isEmpty());
      assertThat(replies().keySet().stream().filter(id -> id.startsWith("b-"))).hasSize(100);
    }
  }

  @Test
  void badBytesAreSkippedAndASchemaOfANewerReleaseIsWaitedFor() {
    try (ParticipantService service = start("reader")) {
      send("reader", new byte[] {1, 2, 3});
      send("reader", command("c-before", "well"));
      // a fingerprint that this release lacks
      send("reader", new byte[] {(byte) 0xC3, 1, 9, 9, 9, 9, 9, 9, 9, 9});
      send("reader", command("c-behind", "well"));

      await()
          .atMost(WAIT)
          .untilAsserted(
              () ->
                  assertThat(service.fault())
                      .hasValueSatisfying(
                          f -> assertThat(f).contains("0909090909090909 is not known")));
      assertThat(replies()).containsKey("c-before").doesNotContainKey("c-behind");
    }
  }
}
