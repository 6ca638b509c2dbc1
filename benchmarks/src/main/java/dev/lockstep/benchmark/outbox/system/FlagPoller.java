package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What teams write by hand: {@code FOR UPDATE SKIP LOCKED}, send, flush, set a flag. In its good
 * version: a partial index, one UPDATE a page. At least once.
 */
public final class FlagPoller implements OutboxSystem {

  private static final String TABLE = "flag_outbox";
  private static final int PAGE = 10_000;
  private static final long IDLE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

  /** Made by the command. */
  public FlagPoller() {}

  @Override
  public String name() {
    return "flag-poller";
  }

  @Override
  public String version() {
    return "SKIP LOCKED, pages of %,d rows, one UPDATE a page, 10 ms between polls".formatted(PAGE);
  }

  @Override
  public List<String> variants() {
    return List.of("polling");
  }

  @Override
  public Outlet open(Place place, String variant) throws SQLException {
    PlainTable table = new PlainTable(place, TABLE, ", published boolean NOT NULL DEFAULT false");
    try (Connection connection = place.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("CREATE INDEX ON flag_outbox (id) WHERE NOT published");
    }
    return new Polling(place, table);
  }

  private static final class Polling implements Outlet {

    private final Place place;
    private final PlainTable table;
    private final Thread thread;
    private volatile boolean running = true;

    Polling(Place place, PlainTable table) {
      this.table = table;
      this.place = place;
      this.thread = new Thread(this::relay, "flag-poller");
    }

    @Override
    public void fill(long rows) throws SQLException {
      table.fill(rows);
    }

    @Override
    public void publish(String key, byte[] payload) throws SQLException {
      table.insert(key, payload);
    }

    @Override
    public void startRelay() {
      thread.start();
    }

    @Override
    public String tables() {
      return TABLE;
    }

    @Override
    public void close() throws InterruptedException {
      running = false;
      thread.join();
    }

    private void relay() {
      Map<String, Object> settings = place.config().client();
      settings.put("acks", "all");
      settings.put("batch.size", 128 * 1024);
      try (KafkaProducer<byte[], byte[]> producer =
              new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
          Connection connection = place.dataSource().getConnection()) {
        connection.setAutoCommit(false);
        while (running) {
          if (page(producer, connection) == 0) {
            LockSupport.parkNanos(IDLE_NANOS);
          }
        }
      } catch (SQLException e) {
        throw new IllegalStateException(e);
      }
    }

    private int page(KafkaProducer<byte[], byte[]> producer, Connection connection)
        throws SQLException {
      List<Long> ids = new ArrayList<>();
      try (PreparedStatement select =
              connection.prepareStatement(
                  "SELECT id, msg_key, payload FROM flag_outbox WHERE NOT published"
                      + " ORDER BY id LIMIT ? FOR UPDATE SKIP LOCKED");
          PreparedStatement update =
              connection.prepareStatement(
                  "UPDATE flag_outbox SET published = true WHERE id = ANY(?)")) {
        select.setInt(1, PAGE);
        try (ResultSet row = select.executeQuery()) {
          while (row.next()) {
            ids.add(row.getLong(1));
            var unused =
                producer.send(
                    new ProducerRecord<>(place.topic(), row.getBytes(2), row.getBytes(3)));
          }
        }
        if (!ids.isEmpty()) {
          producer.flush();
          update.setArray(1, connection.createArrayOf("int8", ids.toArray()));
          update.executeUpdate();
        }
        connection.commit();
      }
      return ids.size();
    }
  }
}
