package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.relay.HangingTransactions.Left;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
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
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Owns one shard, on a thread of its own.
 *
 * <p>States: fence (initTransactions ends and fences every earlier owner), load (last position,
 * compared with the ledger; transactions that hang), then publish until something fails; after any
 * failure, and after every outcome that is not known, it starts again at fence. Who was fenced
 * himself gives the shard up.
 */
final class ShardRelay implements Runnable {

  private static final Logger LOG = LoggerFactory.getLogger(ShardRelay.class);
  private static final long SHORTEST_PAUSE_MS = 2;
  private static final long FIRST_BACKOFF_MS = 100;
  private static final long LAST_BACKOFF_MS = 1_000;
  private static final long ATTEND_NANOS = TimeUnit.MILLISECONDS.toNanos(500);
  private static final Duration CLOSE = Duration.ofSeconds(5);
  private static final int MOST_REPORTED = 100;

  /** Transactions of earlier owners that hang, and were left. */
  private record Found(HangingTransactions looked, List<Left> left) {}

  private final DataSource dataSource;
  private final Dialect dialect;
  private final TopicTable topics;
  private final Destinations destinations;
  private final RelayOptions options;
  private final RelayCounters counters;
  private final int shard;
  private final @Nullable WalFeed wal;
  private final Runnable fenced;
  private final Semaphore wakeUp = new Semaphore(0);
  private final PageSize page;

  /** Rows that Kafka will never take; outlives the senders that found out. Own thread only. */
  private final Map<Long, String> condemned = new HashMap<>();

  private volatile boolean stopping;
  private volatile String state = "STARTING";
  private volatile @Nullable String fault;
  private volatile @Nullable RelayPosition reached;
  private volatile List<String> blocked = List.of();
  private volatile @Nullable Found found;

  /**
   * @param wal follows the database's log; null: the ledger is read
   * @param fenced called when another relay took the shard, or the coordinator forgot this one:
   *     leave the group and join again
   */
  ShardRelay(
      DataSource dataSource,
      Dialect dialect,
      TopicTable topics,
      Destinations destinations,
      RelayOptions options,
      RelayCounters counters,
      int shard,
      @Nullable WalFeed wal,
      Runnable fenced) {
    this.dataSource = dataSource;
    this.dialect = dialect;
    this.topics = topics;
    this.destinations = destinations;
    this.options = options;
    this.counters = counters;
    this.shard = shard;
    this.wal = wal;
    this.fenced = fenced;
    this.page = new PageSize(options.pageRows(), options.transactionTimeout().toNanos() / 4);
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

  /** How far it is; null: not known yet. */
  @Nullable RelayPosition position() {
    return reached;
  }

  @Nullable String fault() {
    return fault;
  }

  List<String> blocked() {
    return blocked;
  }

  /** What is not as it should be and loses nothing. */
  List<String> notes() {
    Found now = found;
    if (now == null) {
      return List.of();
    }
    List<String> notes = new ArrayList<>(now.left().stream().map(Left::note).toList());
    if (!now.looked().denied().isEmpty()) {
      notes.add(
          "transactions that hang in %s (decision 0020) are not seen: grant READ"
              .formatted(now.looked().denied()));
    }
    return notes;
  }

  /** Forgets transactions that no longer hang. Called by another thread now and then. */
  void lookAgain() {
    Found before = found;
    if (before != null && !before.left().isEmpty()) {
      List<Left> still = before.left().stream().filter(before.looked()::isOpen).toList();
      if (before.equals(found)) {
        found = new Found(before.looked(), still);
      }
    }
  }

  @Override
  public void run() {
    long backoff = FIRST_BACKOFF_MS;
    while (!stopping) {
      long startedAt = System.nanoTime();
      try {
        own();
      } catch (Throwable e) {
        SendFailure failure = SendFailure.of(e);
        if (failure == SendFailure.FENCED) {
          LOG.info("Shard {} of outbox '{}' was taken over", shard, options.name());
          fenced.run();
          break;
        }
        if (failure == SendFailure.RECORD) {
          // known now, or closer to being known
          pause(SHORTEST_PAUSE_MS);
          continue;
        }
        LOG.warn("{}; trying again in {} ms", fault, backoff, e);
        page.shrink();
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
    String silence =
        SendFailure.isSilence(thrown)
            ? "brokers at %s do not answer in time, look at their processes, disks and network: "
                .formatted(options.config().bootstrapServers())
            : "";
    fault = "shard %d of outbox '%s': %s%s".formatted(shard, options.name(), silence, thrown);
  }

  private void own() throws SQLException {
    state = "FENCING";
    KafkaProducer<byte[], byte[]> transactional = Producers.transactional(options, shard);
    try (Ledger ledger = ledger()) {
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

  private void publish(KafkaProducer<byte[], byte[]> transactional, Ledger ledger)
      throws SQLException {
    Connection connection = ledger.connection();
    // the topic may have been made anew while this relay ran
    LedgerIdentity.require(connection, options);
    transactional.initTransactions();
    state = "LOADING";
    HangingTransactions hanging =
        new HangingTransactions(options, shard, topics, destinations, connection);
    RelayPosition last =
        hanging.position(
            PositionReader.read(options.config(), options.positionsTopic(), shard), connection);
    requireShards(connection);
    RelayPosition position = ledger.takeOver(last);
    found =
        new Found(
            hanging, hanging.settle(rows -> UnpassedRows.of(connection, shard, position, rows)));
    Parked parked = new Parked(connection, shard, lane(), position.relayEpoch());
    KnownTopics known = new KnownTopics(topics, destinations, connection);
    RowRecords records =
        new RowRecords(
            options.name(),
            UUID.fromString(position.origin().source()),
            shard,
            position.relayEpoch(),
            known);
    try (LaneSender lane = lane(transactional, records)) {
      // a higher epoch stands in the log before anything is sent under it
      lane.commit(List.of(), position);
      lane.settle();
      // from here on no earlier owner can write to the tables of rows aside either
      parked.own();
      ledger.owned(position.relayEpoch());
      parked.forget(last.undeleted());
      ledger.forget(last.undeleted());
      parked.forgetAhead(position);
      RowSorter sorter = new RowSorter(known, parked.blocked(), condemned);
      Publishing publishing =
          new Publishing(
              new Publishing.Surroundings(
                  ledger,
                  parked,
                  lane,
                  sorter,
                  known,
                  new NotedVerdicts(condemned, destinations),
                  page,
                  meter(connection),
                  System::nanoTime),
              position);
      reached = position;
      stream(publishing, ledger, lane, sorter);
    }
  }

  private Ledger ledger() throws SQLException {
    if (!dialect.hasSnapshots()) {
      return new VisibleLedger(dataSource, shard, lane());
    }
    SnapshotLedger snapshots = new SnapshotLedger(dataSource, shard, lane());
    return wal == null ? snapshots : new WalLedger(snapshots, wal.queue(shard, this::wake));
  }

  private void requireShards(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT shards FROM lockstep_outbox_meta")) {
      int shards = row.next() ? row.getInt(1) : 0;
      if (shards != options.shards()) {
        throw new OutboxException(
            "Outbox '%s' is configured with %d shards of each lane, its relay with %d: give both the same number"
                .formatted(options.name(), shards, options.shards()));
      }
    }
  }

  private void stream(Publishing publishing, Ledger ledger, LaneSender lane, RowSorter sorter)
      throws SQLException {
    Connection connection = ledger.connection();
    long pause = SHORTEST_PAUSE_MS;
    long attendedAt = System.nanoTime() - ATTEND_NANOS;
    boolean paused = false;
    while (!stopping) {
      if (System.nanoTime() - attendedAt >= ATTEND_NANOS) {
        paused = isPaused(connection);
        if (!paused) {
          publishing.attend();
        }
        blocked = report(sorter);
        fault = null;
        attendedAt = System.nanoTime();
      }
      state = paused ? "PAUSED" : ledger.isFollowing() ? "FOLLOWING" : "STREAMING";
      if (!paused && publishing.turn()) {
        pause = SHORTEST_PAUSE_MS;
        continue;
      }
      lane.idle();
      if (await(pause)) {
        pause = SHORTEST_PAUSE_MS;
      } else {
        pause = Math.min(options.longestPoll().toMillis(), pause * 2);
      }
    }
    lane.settle();
  }

  private static boolean isPaused(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery("SELECT paused_by IS NOT NULL FROM lockstep_outbox_meta")) {
      return row.next() && row.getBoolean(1);
    }
  }

  private static List<String> report(RowSorter sorter) {
    return sorter.blocked().entrySet().stream()
        .limit(MOST_REPORTED)
        .map(
            entry ->
                (entry.getKey().isWholeTopic() ? "topic '%s': %s" : "a key of topic '%s': %s")
                    .formatted(entry.getKey().topic(), entry.getValue().reason()))
        .toList();
  }

  private int lane() {
    return shard < options.shards() ? 0 : 1;
  }

  private LaneSender lane(KafkaProducer<byte[], byte[]> transactional, RowRecords records) {
    return lane() == 0
        ? new ExactlyOnceSender(transactional, records, this::positionRecord)
        : new ExpressSender(transactional, options, records, this::positionRecord);
  }

  private ProducerRecord<byte[], byte[]> positionRecord(RelayPosition position) {
    byte[] key = Integer.toString(shard).getBytes(StandardCharsets.UTF_8);
    return new ProducerRecord<>(options.positionsTopic(), shard, key, position.encode());
  }

  private Publishing.Meter meter(Connection connection) throws SQLException {
    // rows bear the database's time; from here on this process counts on
    long then = System.nanoTime();
    long databaseMillis;
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT " + dialect.now())) {
      row.next();
      databaseMillis = row.getLong(1);
    }
    return () ->
        counters.begin(
            () -> databaseMillis + TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - then),
            position -> reached = position);
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
