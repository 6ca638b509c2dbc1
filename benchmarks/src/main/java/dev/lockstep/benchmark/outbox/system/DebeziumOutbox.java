package dev.lockstep.benchmark.outbox.system;

import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import io.debezium.connector.postgresql.PostgresConnector;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.DebeziumEngine.ConnectorCallback;
import io.debezium.engine.DebeziumEngine.RecordCommitter;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import java.sql.Connection;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.MemoryOffsetBackingStore;
import org.jspecify.annotations.Nullable;
import org.postgresql.Driver;

/**
 * Debezium's engine in this process, and a producer behind it. A backlog is drained both ways: by a
 * snapshot of the table, as on the first start, and from the log, as after a pause. At least once.
 */
public final class DebeziumOutbox implements OutboxSystem {

  private static final String TABLE = "debezium_outbox";
  private static final String SNAPSHOT = "snapshot";
  private static final String STREAMING = "streaming";
  private static final int BATCH = 8_192;
  private static final int POLL_MILLIS = 2;

  /** Made by the command. */
  public DebeziumOutbox() {}

  @Override
  public String name() {
    return "debezium";
  }

  @Override
  public String version() {
    return "%s (async engine), pgoutput, batches of %,d, queue of %,d, %d ms between polls, columns mapped directly, a flush a batch, acks=all"
        .formatted(Jars.nameOf(PostgresConnector.class), BATCH, 4 * BATCH, POLL_MILLIS);
  }

  @Override
  public List<String> variants() {
    return List.of(STREAMING, SNAPSHOT);
  }

  /** After a snapshot it streams: one of them tells the latency of both. */
  @Override
  public boolean isRelay(String variant) {
    return variant.equals(STREAMING);
  }

  @Override
  public Outlet open(Place place, String variant) throws SQLException {
    PlainTable table = new PlainTable(place, TABLE, "");
    if (variant.equals(STREAMING)) {
      // what a run before the pause would have left
      execute(
          place,
          "CREATE PUBLICATION bench FOR TABLE " + TABLE,
          "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')".formatted(slot(place)));
    }
    return new Engine(place, table, variant.equals(STREAMING) ? "no_data" : "initial");
  }

  private static String slot(Place place) {
    return "bench_" + place.number();
  }

  private static void execute(Place place, String... statements) throws SQLException {
    try (Connection connection = place.dataSource().getConnection();
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  private static final class Engine implements Outlet {

    private final Place place;
    private final PlainTable table;
    private final String snapshotMode;
    private final KafkaProducer<byte[], byte[]> producer;
    private final CompletableFuture<Boolean> polling = new CompletableFuture<>();
    private @Nullable DebeziumEngine<?> engine;
    private @Nullable Thread thread;

    Engine(Place place, PlainTable table, String snapshotMode) {
      this.place = place;
      this.table = table;
      this.snapshotMode = snapshotMode;
      Map<String, Object> settings = place.config().client();
      settings.put("acks", "all");
      settings.put("batch.size", 128 * 1024);
      this.producer =
          new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
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
    public void startRelay() throws Exception {
      DebeziumEngine<RecordChangeEvent<SourceRecord>> made =
          DebeziumEngine.create(ChangeEventFormat.of(Connect.class))
              .using(settings())
              .using(
                  new ConnectorCallback() {
                    @Override
                    public void pollingStarted() {
                      polling.complete(true);
                    }
                  })
              .using(
                  (success, message, error) ->
                      polling.completeExceptionally(new IllegalStateException(message, error)))
              .notifying(this::send)
              .build();
      engine = made;
      thread = new Thread(made, "debezium");
      thread.start();
      var unused = polling.get(1, TimeUnit.MINUTES);
    }

    @Override
    public String tables() {
      return TABLE;
    }

    @Override
    public void close() throws Exception {
      if (engine != null && thread != null) {
        engine.close();
        thread.join();
      }
      producer.close();
      execute(
          place,
          "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%s'"
              .formatted(slot(place)));
    }

    private void send(
        List<RecordChangeEvent<SourceRecord>> events,
        RecordCommitter<RecordChangeEvent<SourceRecord>> committer)
        throws InterruptedException {
      for (RecordChangeEvent<SourceRecord> event : events) {
        Struct row = ((Struct) event.record().value()).getStruct("after");
        var unused =
            producer.send(
                new ProducerRecord<>(
                    place.topic(), row.getBytes("msg_key"), row.getBytes("payload")));
      }
      producer.flush();
      for (RecordChangeEvent<SourceRecord> event : events) {
        committer.markProcessed(event);
      }
      committer.markBatchFinished();
    }

    private Properties settings() {
      Properties address = Driver.parseURL(place.dataSource().getJdbcUrl(), null);
      Properties settings = new Properties();
      settings.setProperty("name", "bench");
      settings.setProperty("connector.class", PostgresConnector.class.getName());
      settings.setProperty("offset.storage", MemoryOffsetBackingStore.class.getName());
      settings.setProperty("database.hostname", address.getProperty("PGHOST"));
      settings.setProperty("database.port", address.getProperty("PGPORT"));
      settings.setProperty("database.dbname", address.getProperty("PGDBNAME"));
      settings.setProperty("database.user", address.getProperty("user"));
      settings.setProperty("topic.prefix", "bench");
      settings.setProperty("table.include.list", "public." + TABLE);
      settings.setProperty("plugin.name", "pgoutput");
      settings.setProperty("slot.name", slot(place));
      settings.setProperty("publication.name", "bench");
      settings.setProperty("publication.autocreate.mode", "filtered");
      settings.setProperty("snapshot.mode", snapshotMode);
      settings.setProperty("snapshot.fetch.size", Integer.toString(BATCH));
      settings.setProperty("max.batch.size", Integer.toString(BATCH));
      settings.setProperty("max.queue.size", Integer.toString(4 * BATCH));
      settings.setProperty("poll.interval.ms", Integer.toString(POLL_MILLIS));
      return settings;
    }
  }
}
