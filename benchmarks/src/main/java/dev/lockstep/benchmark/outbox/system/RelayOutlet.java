package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem.Outlet;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.RelayOptions;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/** One of our outboxes, whatever database it lies in. */
class RelayOutlet implements Outlet {

  /** Stores a backlog. */
  interface Backlog {
    void fill(long rows) throws SQLException;
  }

  private final String topic;
  private final Outbox outbox;
  private final RelayOptions options;
  private final Backlog backlog;
  private @Nullable OutboxRelay relay;

  RelayOutlet(String topic, Outbox outbox, RelayOptions options, Backlog backlog) {
    this.topic = topic;
    this.outbox = outbox;
    this.options = options;
    this.backlog = backlog;
  }

  @Override
  public void fill(long rows) throws SQLException {
    backlog.fill(rows);
  }

  @Override
  public void publish(String key, byte[] payload) throws SQLException {
    outbox.inTransaction(tx -> tx.publish(OutboxMessage.of(topic, key, payload)));
  }

  @Override
  public void startRelay() {
    relay = OutboxRelay.start(outbox, options);
  }

  @Override
  public String tables() {
    return "lockstep_outbox";
  }

  @Override
  public void close() {
    OutboxRelay running = relay;
    if (running != null) {
      running.close();
    }
  }
}
