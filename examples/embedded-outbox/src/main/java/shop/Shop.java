package shop;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.schema.LockstepConfig;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import javax.sql.DataSource;

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
