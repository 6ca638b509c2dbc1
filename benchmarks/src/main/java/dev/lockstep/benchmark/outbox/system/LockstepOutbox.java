package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.OutboxTopics;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.schema.TopicSpec;
import java.sql.SQLException;
import java.util.List;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.jspecify.annotations.Nullable;

/** Ours: the ledger, on both lanes. */
public final class LockstepOutbox implements OutboxSystem {

  /** Made by the command. */
  public LockstepOutbox() {}

  @Override
  public String name() {
    return "lockstep";
  }

  @Override
  public String version() {
    return "ledger, two shards of each lane, default options, acks=all";
  }

  @Override
  public List<String> variants() {
    return List.of("exactly-once", "express");
  }

  @Override
  public boolean neverRepeats() {
    return true;
  }

  @Override
  public Outlet open(Place place, String variant) throws Exception {
    Outbox outbox = new Outbox(place.dataSource());
    outbox.migrate();
    Lane lane = variant.equals("express") ? Lane.EXPRESS : Lane.EXACTLY_ONCE;
    outbox.register(place.topic(), lane, 0);
    RelayOptions options = RelayOptions.of(place.config(), "bench-" + place.number());
    try (Admin admin = Admin.create(place.config().client())) {
      TopicSpec positions = OutboxTopics.positions(options);
      admin
          .createTopics(
              List.of(
                  new NewTopic(
                          positions.name(), Optional.of(positions.partitions()), Optional.empty())
                      .configs(positions.settings())))
          .all()
          .get();
    }
    return new Ledger(place, outbox, options, lane);
  }

  private static final class Ledger implements Outlet {

    private final Place place;
    private final Outbox outbox;
    private final RelayOptions options;
    private final Lane lane;
    private @Nullable OutboxRelay relay;

    Ledger(Place place, Outbox outbox, RelayOptions options, Lane lane) {
      this.place = place;
      this.outbox = outbox;
      this.options = options;
      this.lane = lane;
    }

    @Override
    public void fill(long rows) throws SQLException {
      Fill.run(
          place,
          rows,
          "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload)"
              + " SELECT %d, gen_random_uuid(), '%s', %s, %s"
                  .formatted(lane.code(), place.topic(), Fill.KEY, Fill.PAYLOAD));
    }

    @Override
    public void publish(String key, byte[] payload) throws SQLException {
      outbox.inTransaction(tx -> tx.publish(OutboxMessage.of(place.topic(), key, payload)));
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
}
