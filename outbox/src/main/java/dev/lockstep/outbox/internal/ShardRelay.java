package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.LedgerReader.LedgerRow;
import dev.lockstep.outbox.internal.LedgerReader.Window;
import java.sql.SQLException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes one shard, on a thread of its own.
 *
 * <p>States: fence (initTransactions ends and fences every earlier owner), load (last position),
 * then poll and publish until something fails; after any failure, and after every outcome that is
 * not known, it starts again at fence.
 *
 * <p>Crash points: messages and position are one Kafka transaction (exactly-once lane), or the
 * position follows the acknowledged messages (express lane, whose receivers drop repeats by row
 * id). In both a crash repeats at most what no position covers.
 */
final class ShardRelay implements Runnable {

  private static final Logger LOG = LoggerFactory.getLogger(ShardRelay.class);
  private static final long SHORTEST_PAUSE_MS = 2;
  private static final long FIRST_BACKOFF_MS = 100;
  private static final long LAST_BACKOFF_MS = 1_000;
  private static final Duration CLOSE = Duration.ofSeconds(5);

  private final DataSource dataSource;
  private final TopicTable topics;
  private final RelayOptions options;
  private final int shard;
  private final Semaphore wakeUp = new Semaphore(0);
  private volatile boolean stopping;
  private volatile String state = "STARTING";
  private volatile @Nullable String fault;

  ShardRelay(DataSource dataSource, TopicTable topics, RelayOptions options, int shard) {
    this.dataSource = dataSource;
    this.topics = topics;
    this.options = options;
    this.shard = shard;
  }

  void wake() {
    if (wakeUp.availablePermits() == 0) {
      wakeUp.release();
    }
  }

  void stop() {
    stopping = true;
    wakeUp.release();
  }

  String state() {
    return state;
  }

  @Nullable String fault() {
    return fault;
  }

  @Override
  public void run() {
    long backoff = FIRST_BACKOFF_MS;
    while (!stopping) {
      long startedAt = System.nanoTime();
      try {
        own();
      } catch (Throwable e) {
        failed(e);
        LOG.warn("{}; trying again in {} ms", fault, backoff, e);
        if (System.nanoTime() - startedAt > TimeUnit.SECONDS.toNanos(30)) {
          backoff = FIRST_BACKOFF_MS;
        }
        pause(backoff);
        backoff = Math.min(LAST_BACKOFF_MS, backoff * 2);
      }
    }
    state = "STOPPED";
  }

  private void failed(Throwable thrown) {
    state = "WAITING";
    fault = "shard %d of outbox '%s': %s".formatted(shard, options.name(), thrown);
  }

  private void own() throws SQLException {
    state = "FENCING";
    KafkaProducer<byte[], byte[]> transactional = transactional();
    try (LedgerReader ledger = new LedgerReader(dataSource, shard)) {
      publish(transactional, ledger);
    } catch (Throwable e) {
      // said before the close below, which may wait for a broker
      failed(e);
      throw e;
    } finally {
      // without a bound it would wait for the end of an open transaction; the next fence ends it
      transactional.close(CLOSE);
    }
  }

  private void publish(KafkaProducer<byte[], byte[]> transactional, LedgerReader ledger)
      throws SQLException {
    // the topic may have been made anew while this relay ran
    LedgerIdentity.require(ledger.connection(), options);
    transactional.initTransactions();
    state = "LOADING";
    RelayPosition position =
        PositionReader.read(options.config().client(), options.positionsTopic(), shard).takenOver();
    UUID source = ledger.source();
    RowRecords records =
        new RowRecords(
            options.name(),
            source,
            shard,
            position.relayEpoch(),
            topic -> topics.get(topic, ledger.connection()));
    try (LaneSender lane = lane(transactional, records)) {
      // a higher epoch stands in the log before anything is sent under it
      lane.commit(List.of(), position);
      position = publishUnpublished(ledger, lane, position);
      fault = null;
      stream(ledger, lane, position);
    }
  }

  private RelayPosition publishUnpublished(
      LedgerReader ledger, LaneSender lane, RelayPosition start) throws SQLException {
    RelayPosition position = start;
    while (!stopping) {
      List<LedgerRow> rows =
          ledger.unpublished(position.prev(), position.maxSeq(), options.pageRows());
      if (rows.isEmpty()) {
        return position;
      }
      position = position.recovered(rows.get(rows.size() - 1).seq());
      lane.commit(rows, position);
    }
    return position;
  }

  private void stream(LedgerReader ledger, LaneSender lane, RelayPosition start)
      throws SQLException {
    state = "STREAMING";
    RelayPosition position = start;
    long pause = SHORTEST_PAUSE_MS;
    while (!stopping) {
      RelayPosition next =
          position.window().isEmpty() ? poll(ledger, lane, position) : page(ledger, lane, position);
      if (next.equals(position)) {
        lane.idle();
        if (await(pause)) {
          pause = SHORTEST_PAUSE_MS;
        } else {
          pause = Math.min(options.longestPoll().toMillis(), pause * 2);
        }
      } else {
        pause = SHORTEST_PAUSE_MS;
      }
      position = next;
    }
  }

  private RelayPosition poll(LedgerReader ledger, LaneSender lane, RelayPosition position)
      throws SQLException {
    Window window = ledger.poll(position.prev(), options.pageRows());
    if (window.rows().isEmpty()) {
      // an empty poll writes nothing; the old snapshot stays as good as the new one
      return position;
    }
    long seq = window.rows().get(window.rows().size() - 1).seq();
    RelayPosition next =
        window.more()
            ? position.within(window.snapshot(), seq)
            : position.drained(window.snapshot(), seq);
    lane.commit(window.rows(), next);
    return next;
  }

  private RelayPosition page(LedgerReader ledger, LaneSender lane, RelayPosition position)
      throws SQLException {
    List<LedgerRow> rows =
        ledger.page(position.window(), position.prev(), position.lastSeq(), options.pageRows());
    long seq = rows.isEmpty() ? position.lastSeq() : rows.get(rows.size() - 1).seq();
    RelayPosition next =
        rows.size() < options.pageRows()
            ? position.drained(position.window(), seq)
            : position.within(position.window(), seq);
    lane.commit(rows, next);
    return next;
  }

  private LaneSender lane(KafkaProducer<byte[], byte[]> transactional, RowRecords records) {
    return shard < OutboxShards.PER_LANE
        ? new ExactlyOnceSender(transactional, records, this::positionRecord)
        : new ExpressSender(
            transactional, options.config().client(), records, this::positionRecord);
  }

  private ProducerRecord<byte[], byte[]> positionRecord(RelayPosition position) {
    byte[] key = Integer.toString(shard).getBytes(java.nio.charset.StandardCharsets.UTF_8);
    return new ProducerRecord<>(options.positionsTopic(), shard, key, position.encode());
  }

  private KafkaProducer<byte[], byte[]> transactional() {
    Map<String, Object> settings = new HashMap<>(options.config().client());
    settings.put(
        "transactional.id",
        options.config().named("lockstep-outbox-" + options.name() + "-" + shard));
    settings.put("transaction.timeout.ms", (int) options.transactionTimeout().toMillis());
    settings.put("delivery.timeout.ms", (int) options.transactionTimeout().toMillis());
    settings.put("request.timeout.ms", (int) Duration.ofSeconds(5).toMillis());
    settings.put("max.block.ms", options.transactionTimeout().toMillis());
    settings.put("linger.ms", "0");
    settings.put("batch.size", 128 * 1024);
    settings.put("retry.backoff.ms", "5");
    return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  private boolean await(long millis) {
    try {
      boolean woken = wakeUp.tryAcquire(millis, TimeUnit.MILLISECONDS);
      wakeUp.drainPermits();
      return woken;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KafkaException("Interrupted while waiting for rows", e);
    }
  }

  private void pause(long millis) {
    try {
      long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
      while (!stopping && System.nanoTime() < end) {
        TimeUnit.MILLISECONDS.sleep(Math.min(50, millis));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      stopping = true;
    }
  }
}
