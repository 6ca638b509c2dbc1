package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The physical limit: pages of a plain table are read by primary key and sent. It remembers
 * nothing, misses rows that commit late, and repeats everything after a crash.
 */
public final class PageAndSend implements OutboxSystem {

  private static final String TABLE = "plain_outbox";
  private static final int PAGE = 10_000;

  /** As many bytes of headers as ours and every other relay's records carry. */
  private static final Iterable<Header> HEADERS =
      List.of(
          new RecordHeader("lockstep-row", new byte[82]),
          new RecordHeader("ce_specversion", new byte[3]),
          new RecordHeader("ce_id", new byte[36]),
          new RecordHeader("ce_source", new byte[24]),
          new RecordHeader("ce_time", new byte[24]));

  /** Made by the command. */
  public PageAndSend() {}

  @Override
  public String name() {
    return "limit";
  }

  @Override
  public String version() {
    return "SELECT pages of %,d rows by key and send them; no bookkeeping".formatted(PAGE);
  }

  @Override
  public List<String> variants() {
    return List.of("page-and-send");
  }

  @Override
  public boolean isRelay(String variant) {
    return false;
  }

  @Override
  public Outlet open(Place place, String variant) throws SQLException {
    PlainTable table = new PlainTable(place, TABLE, "");
    return new Outlet() {
      private final Thread thread = new Thread(() -> relay(place), "page-and-send");

      @Override
      public void fill(long rows) throws SQLException {
        table.fill(rows);
      }

      @Override
      public void publish(String key, byte[] payload) {
        throw new UnsupportedOperationException("It reads what is there and ends");
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
        thread.join();
      }
    };
  }

  private static void relay(Place place) {
    Map<String, Object> settings = place.config().client();
    settings.put("acks", "all");
    settings.put("batch.size", 128 * 1024);
    settings.put("linger.ms", "5");
    try (KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
        Connection connection = place.dataSource().getConnection();
        PreparedStatement page =
            connection.prepareStatement(
                "SELECT id, msg_key, payload FROM plain_outbox WHERE id > ? ORDER BY id LIMIT ?")) {
      long last = 0;
      int rows;
      do {
        rows = 0;
        page.setLong(1, last);
        page.setInt(2, PAGE);
        try (ResultSet row = page.executeQuery()) {
          while (row.next()) {
            rows++;
            last = row.getLong(1);
            var unused =
                producer.send(
                    new ProducerRecord<>(
                        place.topic(), null, null, row.getBytes(2), row.getBytes(3), HEADERS));
          }
        }
      } while (rows == PAGE);
    } catch (SQLException e) {
      throw new IllegalStateException(e);
    }
  }
}
