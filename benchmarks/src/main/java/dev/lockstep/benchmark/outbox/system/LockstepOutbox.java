package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxTopics;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.WalSource;
import dev.lockstep.schema.TopicSpec;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** Ours on PostgreSQL: the ledger on both lanes, and the log of the database. */
public final class LockstepOutbox implements OutboxSystem {

  /** What it can be measured in. */
  public static final List<String> MODES = List.of("exactly-once", "express", "wal", "wal-express");

  private final List<String> modes;

  /**
   * Made by the command.
   *
   * @param modes which to measure; others than ours are passed over
   */
  public LockstepOutbox(List<String> modes) {
    this.modes = MODES.stream().filter(modes::contains).toList();
  }

  @Override
  public String name() {
    return "lockstep";
  }

  @Override
  public String version() {
    return "two shards of each lane, default options, acks=all";
  }

  @Override
  public List<String> variants() {
    return modes;
  }

  @Override
  public boolean neverRepeats() {
    return true;
  }

  @Override
  public Outlet open(Place place, String variant) throws Exception {
    Outbox outbox = new Outbox(place.dataSource());
    outbox.migrate();
    Lane lane = variant.endsWith("express") ? Lane.EXPRESS : Lane.EXACTLY_ONCE;
    outbox.register(place.topic(), lane, 0);
    RelayOptions ledger = RelayOptions.of(place.config(), "bench-" + place.number());
    createPositions(place, ledger);
    RelayOptions options = variant.startsWith("wal") ? followed(place, ledger) : ledger;
    return new RelayOutlet(
        place.topic(),
        outbox,
        options,
        rows ->
            Fill.run(
                place,
                rows,
                "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload)"
                    + " SELECT %d, gen_random_uuid(), '%s', %s, %s"
                        .formatted(lane.code(), place.topic(), Fill.KEY, Fill.PAYLOAD)));
  }

  private static RelayOptions followed(Place place, RelayOptions ledger)
      throws SQLException, IOException {
    try (InputStream script = Outbox.class.getResourceAsStream("wal-postgresql.sql");
        Connection connection = place.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute(
          new String(Objects.requireNonNull(script).readAllBytes(), StandardCharsets.UTF_8));
    }
    return ledger.withWal(WalSource.of(place.dataSource().getJdbcUrl(), new Properties()));
  }

  static void createPositions(Place place, RelayOptions options)
      throws ExecutionException, InterruptedException {
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
  }
}
