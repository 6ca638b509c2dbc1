package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.ReplayRequest;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.outbox.internal.write.TopicTable;
import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.RowSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
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

  /**
   * Returns how many rows were sent; all of them are acknowledged.
   *
   * @param name value of the header {@link LockstepHeaders#REPLAY}
   */
  public long run(ReplayRequest request, String name, LongConsumer progress) throws SQLException {
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
      Topic target = new TopicTable(dataSource).find(request.target(), connection);
      // where nobody said how many there are, Kafka chooses
      int partitions = target == null ? 0 : target.partitions();
      AtomicReference<@Nullable Exception> failure = new AtomicReference<>();
      LedgerIdentity.Now now = LedgerIdentity.now(connection);
      for (int shard = 0; shard < 2 * options.shards(); shard++) {
        RelayPosition position =
            PositionReader.read(options.config(), options.positionsTopic(), shard);
        LedgerIdentity.require(position, now, connection, shard);
        String passed = position.prev();
        long last = 0;
        List<LedgerRow> page = page(connection, shard, last, passed, request);
        while (!page.isEmpty()) {
          for (LedgerRow row : page) {
            var unused =
                producer.send(
                    record(row, from(position, shard, row), request, partitions, name),
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
                    .formatted(request.topic(), request.target(), sent, failed),
                failed);
          }
          sent += page.size();
          progress.accept(sent);
          last = page.get(page.size() - 1).seq();
          page = page(connection, shard, last, passed, request);
        }
      }
    }
    return sent;
  }

  private ProducerRecord<byte[], byte[]> record(
      LedgerRow row, RowSource from, ReplayRequest request, int partitions, String name) {
    RecordHeaders headers = new RecordHeaders();
    headers.add(RowRecords.header(LockstepHeaders.REPLAY, name));
    RowRecords.describe(headers, row, from, options.name());
    return new ProducerRecord<>(
        request.target(),
        RowRecords.partition(row, partitions),
        null,
        row.key(),
        row.payload(),
        headers);
  }

  /** Receivers that remember rows know it; without a number, those that count pass it over. */
  private static RowSource from(RelayPosition position, int shard, LedgerRow row) {
    UUID source = UUID.fromString(position.origin().source());
    return new RowSource(source, shard, position.relayEpoch(), 0, row.id());
  }

  private static List<LedgerRow> page(
      Connection connection, int shard, long after, String passed, ReplayRequest request)
      throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(SELECT)) {
      select.setInt(1, shard);
      select.setLong(2, after);
      select.setString(3, request.topic());
      Dialect.POSTGRESQL.setTime(select, 4, request.from());
      Dialect.POSTGRESQL.setTime(select, 5, request.until());
      select.setString(6, passed);
      try (ResultSet result = select.executeQuery()) {
        return RowReader.all(result, 0, Dialect.POSTGRESQL);
      }
    }
  }
}
