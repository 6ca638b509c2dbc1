package dev.lockstep.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import java.nio.charset.StandardCharsets;
import java.sql.PreparedStatement;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** A consumer in a process of its own: {@code bootstrap mode topic jdbcUrl}. */
public final class InboxMain {

  private InboxMain() {}

  public static void main(String[] args) throws InterruptedException {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(args[3]);
    pool.setMaximumPoolSize(2);
    InboxConsumer consumer =
        InboxConsumer.start(
            new Outbox(new HikariDataSource(pool)),
            InboxOptions.of(
                    config(args[0]),
                    "killed-" + args[2],
                    InboxOptions.Mode.valueOf(args[1]),
                    args[2])
                .withBatch(50),
            InboxMain::handle);
    Runtime.getRuntime().addShutdownHook(new Thread(consumer::close));
    new CountDownLatch(1).await();
  }

  /** With sessions that end soon: whoever is killed keeps its partitions for one. */
  static LockstepConfig config(String bootstrapServers) {
    return new LockstepConfig(
        bootstrapServers, "", Map.of("session.timeout.ms", "2000", "heartbeat.interval.ms", "500"));
  }

  static void handle(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record) throws Exception {
    try (PreparedStatement insert =
        tx.connection().prepareStatement("INSERT INTO handled (k, v) VALUES (?, ?)")) {
      insert.setString(1, new String(record.key(), StandardCharsets.UTF_8));
      insert.setString(2, new String(record.value(), StandardCharsets.UTF_8));
      insert.executeUpdate();
    }
  }
}
