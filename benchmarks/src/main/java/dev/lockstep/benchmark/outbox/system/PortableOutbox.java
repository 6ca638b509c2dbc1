package dev.lockstep.benchmark.outbox.system;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.testkit.mariadb.MariaDbServer;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Ours without snapshots: a MariaDB of its own, durable. */
public final class PortableOutbox implements OutboxSystem, AutoCloseable {

  /** Its one way. */
  public static final String MODE = "portable";

  private static final int ROWS_IN_A_TRANSACTION = 1_000;
  private static final List<String> SETTINGS =
      List.of("--innodb-buffer-pool-size=1G", "--innodb-log-file-size=1G");

  private final Path directory;
  private @Nullable MariaDbServer server;

  /**
   * Made by the command.
   *
   * @param directory where the server will keep its data
   */
  public PortableOutbox(Path directory) {
    this.directory = directory;
  }

  @Override
  public String name() {
    return "lockstep";
  }

  @Override
  public String version() {
    return "PostgreSQL and, for 'portable', MariaDB 11.4; two shards of each lane, default options, acks=all";
  }

  @Override
  public List<String> variants() {
    return List.of(MODE);
  }

  @Override
  public boolean neverRepeats() {
    return true;
  }

  @Override
  public boolean usesPlace() {
    return false;
  }

  @Override
  public Outlet open(Place place, String variant) throws Exception {
    MariaDbServer running = server;
    if (running == null) {
      running = MariaDbServer.start(directory, SETTINGS);
      server = running;
    }
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(running.createDatabase("slice_" + place.number()));
    pool.setMaximumPoolSize(connections());
    HikariDataSource dataSource = new HikariDataSource(pool);
    Outbox outbox = new Outbox(dataSource);
    outbox.migrate();
    outbox.register(place.topic(), Lane.EXACTLY_ONCE, 0);
    RelayOptions options = RelayOptions.of(place.config(), "bench-" + place.number());
    LockstepOutbox.createPositions(place, options);
    return new RelayOutlet(
        place.topic(), outbox, options, rows -> fill(dataSource, place.topic(), rows)) {
      @Override
      public void close() {
        super.close();
        dataSource.close();
      }
    };
  }

  private static void fill(HikariDataSource dataSource, String topic, long rows)
      throws SQLException {
    try (Connection connection = dataSource.getConnection();
        PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO lockstep_outbox (lane, id, topic, msg_key, payload)"
                    + " SELECT 0, uuid(), ?, concat('key-', mod(n, ?)), rpad(n, ?, ?)"
                    + " FROM (SELECT ? + seq AS n FROM seq_0_to_999) numbers WHERE n < ?")) {
      for (long first = 0; first < rows; first += ROWS_IN_A_TRANSACTION) {
        insert.setString(1, topic);
        insert.setInt(2, Place.KEYS);
        insert.setInt(3, Place.PAYLOAD);
        insert.setString(4, Place.FILLER);
        insert.setLong(5, first);
        insert.setLong(6, rows);
        insert.executeUpdate();
      }
    }
  }

  @Override
  public void close() {
    MariaDbServer running = server;
    if (running != null) {
      running.close();
    }
  }
}
