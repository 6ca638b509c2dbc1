package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Everything works with the least rights, and nothing more is allowed. */
class RolesIT {

  @TempDir Path directory;

  @Test
  void leastRightsAreEnoughAndNoMore() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        PostgresServer postgres = PostgresServer.start(directory.resolve("pg"));
        OutboxWorld owner = new OutboxWorld(cluster, postgres, "roles")) {
      owner.execute(script());
      for (String role : new String[] {"writer", "relay", "operator", "reconciler"}) {
        owner.execute("CREATE ROLE the_%s LOGIN IN ROLE lockstep_%s".formatted(role, role));
      }
      String topic = owner.createTopic("roles", 1, Map.of("max.message.bytes", "100000"));
      try (HikariDataSource writer = as(owner, "the_writer");
          HikariDataSource relays = as(owner, "the_relay");
          HikariDataSource operator = as(owner, "the_operator");
          HikariDataSource reconciler = as(owner, "the_reconciler")) {
        Outbox outbox = new Outbox(writer);
        OutboxAdmin admin = new OutboxAdmin(operator);
        outbox.register(topic, Lane.EXACTLY_ONCE, 0);
        try (RelayNotifier notifier = outbox.notifyRelays();
            OutboxRelay relay =
                OutboxRelay.start(new Outbox(relays), owner.options.withListening())) {
          outbox.inTransaction(
              tx -> {
                tx.publish(message(topic, "a", "1"));
                tx.publish(message(topic, "b", "1").notBefore(Instant.EPOCH));
                tx.publish(OutboxMessage.of(topic, "c", new byte[200_000]));
              });
          execute(writer, "SELECT lockstep_outbox_publish('roles', 'd', '1')");
          soon(() -> assertThat(owner.read(topic)).contains("a=1", "b=1", "d=1"));
          soon(() -> assertThat(relay.health().blocked()).hasSize(1));
          assertThat(admin.discard(admin.parked(1).get(0).id(), "the_operator", "test")).isTrue();
          assertThat(admin.unblock(topic, bytes("c"), "the_operator", "test")).isTrue();
          soon(() -> assertThat(relay.health().isHealthy()).isTrue());
          admin.pause("the_operator", "test");
          admin.resume("the_operator", "test");
          assertThat(admin.status().parked()).isZero();
          soon(() -> assertThat(notifier.sent()).isPositive());
          soon(() -> assertThat(relay.health().notes()).isEmpty());
          assertThat(
                  new OutboxAdmin(reconciler)
                      .reconcile(
                          owner.options,
                          ReconcileRequest.defaults(),
                          "the_reconciler",
                          "test",
                          line -> {})
                      .published())
              .isEqualTo(3);
          assertThatThrownBy(
                  () ->
                      admin.reconcile(
                          owner.options,
                          ReconcileRequest.defaults(),
                          "the_operator",
                          "test",
                          line -> {}))
              .hasMessageContaining("permission denied");
          execute(writer, "SELECT lockstep_outbox_publish('roles', 'e', '1')");
          soon(() -> assertThat(owner.read(topic)).contains("e=1").doesNotHaveDuplicates());
          soon(() -> assertThat(new OutboxAdmin(relays).truncatePublished(owner.options)).isTrue());
        }
        for (String sql :
            new String[] {
              "SELECT * FROM lockstep_outbox",
              "INSERT INTO lockstep_outbox (seq, lane, id, topic) VALUES (1, 0, gen_random_uuid(), 't')",
              "TRUNCATE lockstep_outbox",
              "UPDATE lockstep_outbox_topic SET max_bytes = 1"
            }) {
          refused(writer, sql);
        }
        refused(relays, "UPDATE lockstep_outbox SET payload = NULL");
        refused(relays, "DELETE FROM lockstep_outbox");
        refused(operator, "DELETE FROM lockstep_outbox_operation");
        refused(operator, "TRUNCATE lockstep_outbox");
        refused(operator, "SELECT setval('lockstep_outbox_seq', 1)");
        refused(reconciler, "UPDATE lockstep_outbox SET payload = NULL");
        refused(reconciler, "DELETE FROM lockstep_outbox");
      }
    }
  }

  private static String script() throws Exception {
    try (InputStream in = Outbox.class.getResourceAsStream("roles-postgresql.sql")) {
      return new String(Objects.requireNonNull(in).readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private static HikariDataSource as(OutboxWorld owner, String user) {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(owner.dataSource.getJdbcUrl().replace("user=postgres", "user=" + user));
    pool.setMaximumPoolSize(8);
    return new HikariDataSource(pool);
  }

  private static void execute(HikariDataSource dataSource, String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(sql);
    }
  }

  private static void refused(HikariDataSource dataSource, String sql) {
    assertThatThrownBy(() -> execute(dataSource, sql))
        .as(sql)
        .isInstanceOf(SQLException.class)
        .hasMessageContaining("permission denied");
  }
}
