package shop;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.OutboxTopics;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import javax.sql.DataSource;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** Takes orders: the row and its announcement are there together, or neither is. */
public final class Shop implements AutoCloseable {

  public static final String TOPIC = "orders";

  private final Outbox outbox;
  private final OutboxRelay relay;

  public Shop(DataSource dataSource, LockstepConfig config) {
    outbox = new Outbox(dataSource);
    outbox.migrate();
    outbox.register(TOPIC, Lane.EXACTLY_ONCE, 0);
    relay = OutboxRelay.start(outbox, options(config));
  }

  /**
   * Creates the topic of the events and the one where the relay keeps its positions; once per
   * environment.
   */
  public static void createTopics(LockstepConfig config) throws Exception {
    TopicSpec positions = OutboxTopics.positions(options(config));
    try (Admin admin = Admin.create(config.client())) {
      admin
          .createTopics(
              List.of(
                  new NewTopic(TOPIC, Optional.of(1), Optional.empty()),
                  new NewTopic(
                          positions.name(), Optional.of(positions.partitions()), Optional.empty())
                      .configs(positions.settings())))
          .all()
          .get();
    }
  }

  /** Where the relay of this shop keeps its positions; also for whoever creates the topics. */
  public static RelayOptions options(LockstepConfig config) {
    return RelayOptions.of(config, "shop");
  }

  public void placeOrder(String id, long cents) throws SQLException {
    outbox.inTransaction(
        tx -> {
          try (var insert =
              tx.connection().prepareStatement("INSERT INTO orders (id, cents) VALUES (?, ?)")) {
            insert.setString(1, id);
            insert.setLong(2, cents);
            insert.executeUpdate();
          }
          byte[] event = ("placed " + id).getBytes(StandardCharsets.UTF_8);
          tx.publish(OutboxMessage.of(TOPIC, id, event));
        });
  }

  @Override
  public void close() {
    relay.close();
  }
}
