package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Everything works with the least rights, and nothing more is allowed. */
class RolesIT {

  private static final List<String> ROLES = List.of("writer", "consumer", "relay", "operator");

  @TempDir Path directory;

  @Test
  void leastRightsAreEnoughAndNoMore() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        TestDatabase postgres = TestDatabase.start(TestDatabase.Kind.POSTGRESQL, directory);
        OutboxWorld owner = new OutboxWorld(cluster, postgres, "roles")) {
      owner.execute(script("roles-postgresql.sql"));
      for (String role : ROLES) {
        owner.execute("CREATE ROLE the_%s LOGIN IN ROLE lockstep_%s".formatted(role, role));
      }
      owner.execute("CREATE ROLE the_reconciler LOGIN IN ROLE lockstep_reconciler");
      try (Users users = new Users(owner, "user=postgres")) {
        everyoneDoesTheirWork(owner, users);
        execute(users.writer, "SELECT lockstep_outbox_publish('roles', 'd', '1')");
        assertThat(owner.number("SELECT count(*) FROM lockstep_outbox WHERE msg_key = 'd'"))
            .isEqualTo(1);
        try (OutboxRelay relay =
            OutboxRelay.start(new Outbox(users.relay), owner.options.withListening())) {
          soon(() -> assertThat(owner.read("roles")).contains("d=1"));
          soon(() -> assertThat(relay.health().notes()).isEmpty());
          soon(
              () ->
                  assertThat(new OutboxAdmin(users.relay).truncatePublished(owner.options))
                      .isTrue());
          publishesOnWithoutTheRightToCleanUp(owner, users, relay);
        }
        String no = "permission denied";
        nobodyDoesTheWorkOfOthers(users, no);
        refused(
            users.writer,
            "INSERT INTO lockstep_outbox (seq, lane, id, topic) VALUES (1, 0, gen_random_uuid(), 't')",
            no);
        refused(users.relay, "DELETE FROM lockstep_outbox", no);
        refused(users.operator, "SELECT setval('lockstep_outbox_seq', 1)", no);
        onlyTheReconcilerReconciles(owner, users, no);
      }
    }
  }

  private static void publishesOnWithoutTheRightToCleanUp(
      OutboxWorld owner, Users users, OutboxRelay relay) throws Exception {
    owner.execute("REVOKE DELETE ON lockstep_outbox_scheduled FROM lockstep_relay");
    for (int segment = 0; segment < 4; segment++) {
      owner.execute("REVOKE TRUNCATE ON lockstep_outbox_%d FROM lockstep_relay".formatted(segment));
    }
    execute(users.writer, "SELECT lockstep_outbox_publish('roles', 'g', '1')");
    soon(() -> assertThat(owner.read("roles")).contains("g=1"));
    soon(
        () ->
            assertThat(relay.health().notes())
                .anySatisfy(
                    note ->
                        assertThat(note)
                            .contains("delayed messages", "permission denied", "roles-")));
    assertThat(relay.health().isHealthy()).isTrue();
    assertThatThrownBy(() -> new OutboxAdmin(users.relay).truncatePublished(owner.options))
        .hasMessageContaining("permission denied");

    owner.execute("GRANT DELETE ON lockstep_outbox_scheduled TO lockstep_relay");
    for (int segment = 0; segment < 4; segment++) {
      owner.execute("GRANT TRUNCATE ON lockstep_outbox_%d TO lockstep_relay".formatted(segment));
    }
    soon(() -> assertThat(relay.health().notes()).isEmpty());
    soon(() -> assertThat(new OutboxAdmin(users.relay).truncatePublished(owner.options)).isTrue());
  }

  private static void onlyTheReconcilerReconciles(OutboxWorld owner, Users users, String no)
      throws Exception {
    try (HikariDataSource reconciler =
        Users.pool(owner.dataSource.getJdbcUrl().replace("user=postgres", "user=the_reconciler"))) {
      execute(users.writer, "SELECT lockstep_outbox_publish('roles', 'e', '1')");
      assertThat(reconcile(reconciler, owner).sent()).isEqualTo(1);
      assertThatThrownBy(() -> reconcile(users.operator, owner)).hasMessageContaining(no);
      try (OutboxRelay relay = OutboxRelay.start(new Outbox(users.relay), owner.options)) {
        execute(users.writer, "SELECT lockstep_outbox_publish('roles', 'f', '1')");
        soon(() -> assertThat(owner.read("roles")).contains("e=1", "f=1").doesNotHaveDuplicates());
        assertThat(relay.health().isHealthy()).isTrue();
      }
      refused(reconciler, "UPDATE lockstep_outbox SET payload = NULL", no);
      refused(reconciler, "DELETE FROM lockstep_outbox", no);
    }
  }

  private static ReconcileReport reconcile(HikariDataSource as, OutboxWorld owner)
      throws SQLException {
    return new OutboxAdmin(as)
        .reconcile(owner.options, ReconcileRequest.defaults(), "who", "test", line -> {});
  }

  @Test
  void leastRightsAreEnoughOnMariaDb() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        TestDatabase mariadb = TestDatabase.start(TestDatabase.Kind.MARIADB, directory);
        OutboxWorld owner = new OutboxWorld(cluster, mariadb, "roles")) {
      askForRights(owner);
      for (String sql : script("roles-mariadb.sql").split(";\\s*(\\n|$)")) {
        owner.execute(sql);
      }
      for (String role : ROLES) {
        for (String host : new String[] {"localhost", "127.0.0.1"}) {
          String user = "the_%s@'%s'".formatted(role, host);
          owner.execute("CREATE USER " + user);
          owner.execute("GRANT lockstep_%s TO %s".formatted(role, user));
          owner.execute("SET DEFAULT ROLE lockstep_%s FOR %s".formatted(role, user));
        }
      }
      try (Users users = new Users(owner, "user=root")) {
        everyoneDoesTheirWork(owner, users);
        String no = "command denied";
        nobodyDoesTheWorkOfOthers(users, no);
        refused(
            users.writer,
            "INSERT INTO lockstep_outbox (seq, lane, id, topic) VALUES (1, 0, uuid(), 't')",
            no);
        refused(users.writer, "DELETE FROM lockstep_outbox_scheduled", no);
        refused(users.writer, "DELETE FROM lockstep_outbox_key", no);
        refused(users.writer, "UPDATE lockstep_outbox_key SET bucket = bucket + 1000", no);
      }
    }
  }

  /** The server was started without tables of rights: it reads them now. */
  private static void askForRights(OutboxWorld owner) throws SQLException {
    try (Connection connection = owner.dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("FLUSH PRIVILEGES");
      for (String host : new String[] {"localhost", "127.0.0.1"}) {
        String root = "root@'%s'".formatted(host);
        statement.execute("CREATE USER IF NOT EXISTS " + root);
        statement.execute("ALTER USER " + root + " IDENTIFIED BY ''");
        statement.execute("GRANT ALL ON *.* TO " + root + " WITH GRANT OPTION");
      }
    }
    // those of before are nobody's
    owner.dataSource.getHikariPoolMXBean().softEvictConnections();
  }

  /** Pools, one for each role. */
  private static final class Users implements AutoCloseable {

    final HikariDataSource writer;
    final HikariDataSource consumer;
    final HikariDataSource relay;
    final HikariDataSource operator;

    Users(OutboxWorld owner, String ownersUser) {
      String url = owner.dataSource.getJdbcUrl();
      this.writer = pool(url.replace(ownersUser, "user=the_writer"));
      this.consumer = pool(url.replace(ownersUser, "user=the_consumer"));
      this.relay = pool(url.replace(ownersUser, "user=the_relay"));
      this.operator = pool(url.replace(ownersUser, "user=the_operator"));
    }

    private static HikariDataSource pool(String url) {
      HikariConfig pool = new HikariConfig();
      pool.setJdbcUrl(url);
      pool.setMaximumPoolSize(8);
      return new HikariDataSource(pool);
    }

    @Override
    public void close() {
      List.of(writer, consumer, relay, operator).forEach(HikariDataSource::close);
    }
  }

  private static void everyoneDoesTheirWork(OutboxWorld owner, Users users) throws Exception {
    String topic = owner.createTopic("roles", 1, Map.of("max.message.bytes", "100000"));
    Outbox outbox = new Outbox(users.writer, KeyOrder.ADVISORY_LOCK);
    OutboxAdmin admin = new OutboxAdmin(users.operator);
    outbox.migrate();
    outbox.register(topic, Lane.EXACTLY_ONCE, 0);
    try (RelayNotifier notifier = outbox.notifyRelays();
        OutboxRelay relay = OutboxRelay.start(new Outbox(users.relay), owner.options)) {
      outbox.inTransaction(
          tx -> {
            tx.publish(message(topic, "a", "1"));
            tx.publish(message(topic, "b", "1").notBefore(Instant.EPOCH));
            tx.publish(OutboxMessage.of(topic, "c", new byte[200_000]));
          });
      soon(() -> assertThat(owner.read(topic)).contains("a=1", "b=1"));
      soon(() -> assertThat(relay.health().blocked()).hasSize(1));
      assertThat(admin.blocked(10)).hasSize(1);
      assertThat(admin.publishAgain(UUID.randomUUID(), "the_operator", "test")).isFalse();
      assertThat(admin.discard(admin.parked(1).get(0).id(), "the_operator", "test")).isTrue();
      assertThat(admin.unblock(topic, bytes("c"), "the_operator", "test")).isTrue();
      soon(() -> assertThat(relay.health().isHealthy()).isTrue());
      admin.pause("the_operator", "test");
      admin.resume("the_operator", "test");
      assertThat(admin.status().parked()).isZero();
      assertThat(notifier.failures()).isZero();
    }
    messagesAreTaken(owner, users, topic);
  }

  private static void messagesAreTaken(OutboxWorld owner, Users users, String topic)
      throws Exception {
    AtomicBoolean refuses = new AtomicBoolean(true);
    InboxAdmin admin = new InboxAdmin(users.operator);
    for (Mode mode : Mode.values()) {
      String name = "reader-" + mode;
      refuses.set(true);
      InboxOptions options = InboxOptions.of(owner.config, name, mode, topic).parkingAfter(1);
      try (InboxConsumer consumer =
          InboxConsumer.start(
              new Outbox(users.consumer),
              options,
              (tx, record) -> {
                if (refuses.get()) {
                  throw new IllegalStateException("not yet");
                }
              })) {
        soon(() -> assertThat(admin.parked(name, 10)).hasSize(2));
        assertThat(admin.discard(admin.parked(name, 1).get(0).id(), "the_operator", "test"))
            .isTrue();
        assertThat(admin.retryAll(name, "the_operator", "test")).isEqualTo(1);
        soon(
            () ->
                assertThat(admin.parked(name, 10))
                    .allSatisfy(again -> assertThat(again.isReleased()).isFalse()));
        refuses.set(false);
        assertThat(admin.retry(admin.parked(name, 1).get(0).id(), "the_operator", "test")).isTrue();
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(1));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(admin.acceptLoss(options, topic, 0, "the_operator", "test")).isFalse();
    }
    execute(
        users.operator,
        "UPDATE lockstep_inbox_offset SET next_offset = next_offset, epoch = epoch + 1");
    SequenceInbox sequence = new SequenceInbox("reader");
    for (int n = 1; n <= 2; n++) {
      RowSource row = new RowSource(new UUID(0, 1), 0, 1, n, UUID.randomUUID());
      new Outbox(users.consumer).inTransaction(tx -> sequence.take(tx.connection(), topic, 0, row));
    }
    Inbox.forgetOld(users.consumer);
  }

  private static void nobodyDoesTheWorkOfOthers(Users users, String no) {
    for (String sql :
        new String[] {
          "SELECT * FROM lockstep_outbox",
          "UPDATE lockstep_outbox SET payload = NULL",
          "DELETE FROM lockstep_outbox",
          "TRUNCATE TABLE lockstep_outbox",
          "SELECT * FROM lockstep_outbox_scheduled",
          "UPDATE lockstep_outbox_topic SET max_bytes = 1",
          "DELETE FROM lockstep_outbox_topic",
          "UPDATE lockstep_outbox_meta SET paused_by = 'me'",
          "SELECT * FROM lockstep_inbox_parked"
        }) {
      refused(users.writer, sql, no);
    }
    for (String sql :
        new String[] {
          "INSERT INTO lockstep_outbox (lane, topic) VALUES (0, 't')",
          "SELECT * FROM lockstep_outbox",
          "UPDATE lockstep_outbox_topic SET on_poison = 1",
          "UPDATE lockstep_inbox_parked SET payload = NULL",
          "UPDATE lockstep_inbox SET message_id = ''"
        }) {
      refused(users.consumer, sql, no);
    }
    for (String sql :
        new String[] {
          "UPDATE lockstep_outbox SET payload = NULL",
          "UPDATE lockstep_outbox_meta SET paused_by = NULL",
          "DELETE FROM lockstep_outbox_topic",
          "SELECT * FROM lockstep_inbox_parked",
          "INSERT INTO lockstep_outbox_operation (principal, reason, operation) VALUES ('', '', '')"
        }) {
      refused(users.relay, sql, no);
    }
    for (String sql :
        new String[] {
          "INSERT INTO lockstep_outbox (lane, topic) VALUES (0, 't')",
          "DELETE FROM lockstep_outbox",
          "TRUNCATE TABLE lockstep_outbox",
          "UPDATE lockstep_outbox_parked SET payload = NULL",
          "UPDATE lockstep_inbox_parked SET payload = NULL",
          "UPDATE lockstep_outbox_operation SET principal = 'another'",
          "DELETE FROM lockstep_outbox_operation"
        }) {
      refused(users.operator, sql, no);
    }
  }

  private static String script(String name) throws Exception {
    try (InputStream in = Outbox.class.getResourceAsStream(name)) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8).strip();
    }
  }

  private static void execute(HikariDataSource dataSource, String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static void refused(HikariDataSource dataSource, String sql, String message) {
    assertThatThrownBy(() -> execute(dataSource, sql))
        .as(sql)
        .isInstanceOf(SQLException.class)
        .hasMessageContaining(message);
  }
}
