package shop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Path;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShopTest {

  @TempDir Path directory;

  @Test
  void announcesWhatWasCommittedAndNothingElse() throws Exception {
    try (KafkaCluster kafka =
            KafkaCluster.start(directory.resolve("kafka"), 1, BrokerProfile.STOCK);
        PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      LockstepConfig config = LockstepConfig.of(kafka.bootstrapServers());
      Shop.createTopics(config);
      HikariConfig pool = new HikariConfig();
      pool.setJdbcUrl(postgres.createDatabase("shop"));
      try (HikariDataSource dataSource = new HikariDataSource(pool)) {
        try (var connection = dataSource.getConnection();
            var statement = connection.createStatement()) {
          statement.execute("CREATE TABLE orders (id text PRIMARY KEY, cents bigint NOT NULL)");
        }
        try (Shop shop = new Shop(dataSource, config)) {
          shop.placeOrder("o-1", 1000);
          assertThrows(SQLException.class, () -> shop.placeOrder("o-1", 1000));
          shop.placeOrder("o-2", 2000);

          // two keys: no order is promised between them
          assertEquals(Set.of("placed o-1", "placed o-2"), Set.copyOf(read(config, 2)));
        }
      }
    }
  }

  private static List<String> read(LockstepConfig config, int count) {
    Map<String, Object> settings = config.client();
    settings.put("group.id", "reader");
    settings.put("auto.offset.reset", "earliest");
    settings.put("isolation.level", "read_committed");
    List<String> values = new ArrayList<>();
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(Shop.TOPIC));
      long end = System.nanoTime() + Duration.ofSeconds(30).toNanos();
      while (values.size() < count && System.nanoTime() < end) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
          values.add(record.value());
        }
      }
    }
    return values;
  }
}
