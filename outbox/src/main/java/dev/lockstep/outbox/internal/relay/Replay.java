package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.RowSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.LongConsumer;
import javax.sql.DataSource;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/**
 * Sends rows that are published once more, beside the relays: it moves no position and takes no
 * lock. Rows that a shard's position has not passed, and those aside, are left to their relay.
 */
public final class Replay {

  /**
   * What is replayed.
   *
   * @param topic that the rows were published to
   * @param from time of their transactions, inclusive
   * @param until exclusive
   * @param target topic that they are sent to
   * @param name value of the header {@link LockstepHeaders#REPLAY}
   */
  public record Order(String topic, Instant from, Instant until, String target, String name) {}

  private static final int PAGE = 1_000;

  private static final String SELECT =
      "SELECT"
          + Dialect.POSTGRESQL.columns()
          + "FROM lockstep_outbox o WHERE shard = ? AND seq > ? AND topic = ?"
          + " AND created_at >= ? AND created_at < ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
          + " AND NOT EXISTS (SELECT 1 FROM lockstep_outbox_parked p"
          + " WHERE p.shard = o.shard AND p.seq = o.seq) ORDER BY seq LIMIT "
          + PAGE;

  private final DataSource dataSource;
  private final RelayOptions options;

  public Replay(DataSource dataSource, RelayOptions options) {
    this.dataSource = dataSource;
    this.options = options;
  }

  /** Returns how many rows were sent; all of them are acknowledged. */
  public long run(Order order, LongConsumer progress) throws SQLException {
    Map<String, Object> settings = options.config().client();
    settings.put("acks", "all");
    settings.put("enable.idempotence", "true");
    long sent = 0;
    try (Connection connection = Connections.committing(dataSource);
        KafkaProducer<byte[], byte[]> producer = Producers.plain(settings)) {
      if (!Dialect.of(connection).hasSnapshots()) {
        throw new OutboxException(
            "Nothing can be replayed: this database keeps no rows that are published");
      }
      AtomicReference<@Nullable Exception> failure = new AtomicReference<>();
      for (int shard = 0; shard < 2 * options.shards(); shard++) {
        RelayPosition position =
            PositionReader.read(options.config(), options.positionsTopic(), shard);
        String passed = position.prev();
        long last = 0;
        List<LedgerRow> page = page(connection, shard, last, passed, order);
        while (!page.isEmpty()) {
          for (LedgerRow row : page) {
            var unused =
                producer.send(
                    record(row, shard, position, order),
                    (metadata, error) -> {
                      if (error != null) {
                        failure.compareAndSet(null, error);
                      }
                    });
          }
          producer.flush();
          Exception failed = failure.get();
          if (failed != null) {
            throw new OutboxException(
                "Replay of '%s' to '%s' ended after %d rows: %s; what was sent stays sent"
                    .formatted(order.topic(), order.target(), sent, failed),
                failed);
          }
          sent += page.size();
          progress.accept(sent);
          last = page.get(page.size() - 1).seq();
          page = page(connection, shard, last, passed, order);
        }
      }
    }
    return sent;
  }

  private static ProducerRecord<byte[], byte[]> record(
      LedgerRow row, int shard, RelayPosition position, Order order) {
    RecordHeaders headers = new RecordHeaders();
    add(headers, LockstepHeaders.REPLAY, order.name());
    // receivers that remember rows know it; without a number, those that count pass it over
    add(headers, LockstepHeaders.ROW, row(position, shard, row));
    add(headers, LockstepHeaders.CE_ID, row.id().toString());
    add(headers, LockstepHeaders.CE_TIME, Instant.ofEpochMilli(row.createdAt()).toString());
    List<String> own = row.headers();
    for (int i = 0; i + 1 < own.size(); i += 2) {
      if (!RowRecords.RESERVED.contains(own.get(i))) {
        add(headers, own.get(i), own.get(i + 1));
      }
    }
    return new ProducerRecord<>(
        order.target(), row.partition(), null, row.key(), row.payload(), headers);
  }

  private static String row(RelayPosition position, int shard, LedgerRow row) {
    UUID source = UUID.fromString(position.origin().source());
    return new RowSource(source, shard, position.relayEpoch(), 0, row.id()).format();
  }

  private static void add(RecordHeaders headers, String name, String value) {
    headers.add(name, LockstepHeaders.bytes(value));
  }

  private static List<LedgerRow> page(
      Connection connection, int shard, long after, String passed, Order order)
      throws SQLException {
    List<LedgerRow> rows = new ArrayList<>();
    try (PreparedStatement select = connection.prepareStatement(SELECT)) {
      select.setInt(1, shard);
      select.setLong(2, after);
      select.setString(3, order.topic());
      Dialect.POSTGRESQL.setTime(select, 4, order.from());
      Dialect.POSTGRESQL.setTime(select, 5, order.until());
      select.setString(6, passed);
      try (ResultSet result = select.executeQuery()) {
        while (result.next()) {
          rows.add(LedgerRow.read(result, 0, Dialect.POSTGRESQL));
        }
      }
    }
    return rows;
  }
}
