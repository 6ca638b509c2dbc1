package dev.lockstep.testkit;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ServersIT {

  @TempDir Path directory;

  @Test
  void brokerKeepsItsTopicsAcrossAKill() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        Admin admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()))) {
      KafkaCluster.createTopics(admin, new NewTopic("kept", Optional.of(3), Optional.empty()));

      cluster.node(1).kill();
      cluster.node(1).restart();
      cluster.awaitReady();

      assertThat(admin.listTopics().names().get()).contains("kept");
    }
  }

  @Test
  void postgresServesTwoDatabases() throws Exception {
    try (PostgresServer server = PostgresServer.start(directory.resolve("pg"))) {
      server.createDatabase("one");
      server.createDatabase("two");

      try (Connection connection = server.dataSource("two").getConnection();
          ResultSet row =
              connection.createStatement().executeQuery("SELECT current_database(), version()")) {
        assertThat(row.next()).isTrue();
        assertThat(row.getString(1)).isEqualTo("two");
        assertThat(row.getString(2)).startsWith("PostgreSQL");
      }
    }
  }
}
