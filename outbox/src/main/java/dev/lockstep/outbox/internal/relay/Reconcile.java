package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.ReconcileReport;
import dev.lockstep.outbox.ReconcileReport.LostRow;
import dev.lockstep.outbox.ReconcileRequest;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.relay.RelayPosition.Origin;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import javax.sql.DataSource;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/**
 * Gives a ledger positions again when those that it had are not its own, or are lost: reads back
 * what its topics hold and publishes only what they do not. Used by one thread, once.
 *
 * <p>Order: the outbox gets a new source and is tied to no topic, so that no relay starts; every
 * shard is fenced, so that no relay that runs goes on; only then the ledger is looked at and the
 * topics are read, to their ends: nothing is published behind those but by this. Relays start again
 * when all shards have positions.
 *
 * <p>Crash points: until the end relays stay away. Whatever was published by then is found in the
 * topics by the next run.
 */
public final class Reconcile {

  /** Writers go on while the sequence is moved: so many numbers nobody draws in between. */
  private static final int SEQ_JUMP = 10_000;

  private final DataSource dataSource;
  private final RelayOptions options;
  private final ReconcileRequest request;
  private final Consumer<String> progress;
  private final UUID source = UUID.randomUUID();
  private final LedgerIdentity.Place place;

  /** Looks at the position topic. */
  public Reconcile(
      DataSource dataSource,
      RelayOptions options,
      ReconcileRequest request,
      Consumer<String> progress) {
    this.dataSource = dataSource;
    this.options = options;
    this.request = request;
    this.progress = progress;
    this.place = LedgerIdentity.here(options);
  }

  /** The outbox's id from now on. */
  public UUID source() {
    return source;
  }

  /** Refuses what can be refused while nothing is changed yet. */
  public void check() throws SQLException {
    try (Connection connection = Connections.committing(dataSource);
        ReadBack topics = new ReadBack(options.config())) {
      if (!Dialect.of(connection).hasSnapshots()) {
        throw new OutboxException(
            "Outbox '%s' cannot be reconciled in this database: it keeps no row that is published, so relays publish what is there. Set positions_topic_id in lockstep_outbox_meta to NULL and start them; what they had published last may come again"
                .formatted(options.name()));
      }
      int shards = LedgerScan.shards(connection);
      int partitions =
          topics
              .existing(List.of(options.positionsTopic()))
              .getOrDefault(options.positionsTopic(), 0);
      if (shards != options.shards() || partitions != 2 * shards) {
        throw new OutboxException(
            "Outbox '%s' is configured with %d shards of each lane, the options with %d, and '%s' has %d partitions: all must agree, partitions are twice the shards"
                .formatted(
                    options.name(),
                    shards,
                    options.shards(),
                    options.positionsTopic(),
                    partitions));
      }
      LedgerScan.Times times = LedgerScan.times(connection);
      Instant since = since(times);
      if (since != null) {
        topics.requireReach(topics.existing(LedgerScan.topics(connection)), since, times.now());
      }
    }
  }

  /** Keeps relays from starting; in the transaction of the caller. */
  public boolean begin(Connection connection) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_meta SET former_sources = array_append(former_sources, source),"
                + " source = ?, positions_topic_id = ?")) {
      update.setObject(1, source);
      update.setString(2, LedgerIdentity.RECONCILING);
      return update.executeUpdate() > 0;
    }
  }

  /** Lets relays start again; in the transaction of the caller. */
  public boolean end(Connection connection) throws SQLException {
    requireStill(connection, source);
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_meta SET cluster_id = ?, positions_topic_id = ?"
                + " WHERE source = ?")) {
      update.setString(1, place.cluster());
      update.setString(2, place.topic());
      update.setObject(3, source);
      return update.executeUpdate() > 0;
    }
  }

  /**
   * Refuses to go on when another run has begun.
   *
   * @param source of this one
   */
  static void requireStill(Connection connection, UUID source) throws SQLException {
    if (!source.toString().equals(LedgerIdentity.now(connection).origin().source())) {
      throw new OutboxException(
          "Another reconcile has begun (source %s was replaced): this one stops, wait for that"
              .formatted(source));
    }
  }

  /** Between {@link #begin} and {@link #end}. */
  public ReconcileReport run() throws SQLException {
    TopicTable table = new TopicTable(dataSource);
    try (Connection connection = Connections.committing(dataSource);
        ReadBack topics = new ReadBack(options.config());
        Destinations destinations = new Destinations(options.config(), System::nanoTime)) {
      look(destinations, table);
      List<ShardReconcile> shards = shards(table, destinations);
      Origin origin = LedgerIdentity.now(connection).origin();
      List<String> passed = fence(shards, origin, connection);
      LedgerScan ledger = LedgerScan.of(connection, new RowIds(request.mostRows()), passed);
      progress.accept("%d rows in the ledger".formatted(ledger.rows()));
      Map<String, Integer> existing = topics.existing(LedgerScan.topics(connection));
      Found found = readBack(topics, existing, ledger, connection);
      Superseded superseded =
          Superseded.of(connection, ledger, topics.compacted(existing.keySet()));
      if (request.publishedBefore() != null) {
        long taken = ledger.markPublished(connection, request.publishedBefore());
        progress.accept("%d more rows are old and count as published".formatted(taken));
      }
      // before what is sent counts as well
      final long published = ledger.ids().count(RowIds.LEDGER | RowIds.FOUND);
      long returned = ledger.forgetScheduled(connection);
      long sent = 0;
      for (int shard = 0; shard < shards.size(); shard++) {
        ShardReconcile one = shards.get(shard);
        one.publish(
            new ShardReconcile.Task(
                origin,
                ledger.snapshot(),
                ledger.highest(shard),
                row -> isWanted(row, ledger.ids(), superseded),
                ledger.ids()));
        sent += one.sent();
        returned += one.returned();
        progress.accept(
            "shard %d of %d: %d rows sent".formatted(shard + 1, shards.size(), one.sent()));
      }
      return new ReconcileReport(
          source,
          ledger.rows(),
          published,
          sent,
          LedgerScan.aside(connection),
          ledger.ids().count(RowIds.SUPERSEDED),
          returned,
          ledger.ids().count(RowIds.LOST),
          Optional.ofNullable(found.since()),
          found.lost());
    } catch (KafkaException e) {
      throw new OutboxException(
          "Outbox '%s' is reconciled only halfway: %s. Run it again, no relay publishes before"
              .formatted(options.name(), e),
          e);
    }
  }

  private List<ShardReconcile> shards(TopicTable table, Destinations destinations) {
    ShardReconcile.Run run =
        new ShardReconcile.Run(dataSource, options, table, destinations, source, UUID.randomUUID());
    return IntStream.range(0, 2 * options.shards())
        .mapToObj(shard -> new ShardReconcile(run, shard))
        .toList();
  }

  private static boolean isWanted(AbsentRows.Outline row, RowIds ids, Superseded superseded) {
    if ((ids.marks(row.id()) & (RowIds.FOUND | RowIds.ASIDE | RowIds.DISCARDED)) != 0) {
      return false;
    }
    if (superseded.has(row.seq(), row.topic(), row.key())) {
      ids.mark(row.id(), RowIds.SUPERSEDED);
      return false;
    }
    return true;
  }

  private record Found(@Nullable Instant since, List<LostRow> lost) {}

  private Found readBack(
      ReadBack topics, Map<String, Integer> existing, LedgerScan ledger, Connection connection)
      throws SQLException {
    LedgerScan.Times times = LedgerScan.times(connection);
    Instant since = since(times);
    if (since == null) {
      return new Found(null, List.of());
    }
    topics.requireReach(existing, since, times.now());
    Instant judged = earlier(times.row(), request.restoredTo());
    if (judged != null && judged.isBefore(since)) {
      judged = since;
    }
    FoundRows found = new FoundRows(ledger.ids(), LedgerScan.sources(connection), judged);
    topics.read(existing, since, found, progress);
    return new Found(judged, found.lost());
  }

  /** Returns the time that topics are read from; null: there is nothing to look for. */
  private @Nullable Instant since(LedgerScan.Times times) {
    Instant first = earlier(times.first(), request.restoredTo());
    Instant old = request.publishedBefore();
    if (first == null) {
      return null;
    }
    return (old == null || old.isBefore(first) ? first : old).minus(ReadBack.MARGIN);
  }

  private static @Nullable Instant earlier(@Nullable Instant one, @Nullable Instant other) {
    if (one == null || other == null) {
      return one == null ? other : one;
    }
    return one.isBefore(other) ? one : other;
  }

  private void look(Destinations destinations, TopicTable table) throws SQLException {
    try {
      destinations.look(table.registered());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at topics", e);
    }
  }

  /** Returns up to where rows were published, as snapshots of this PostgreSQL cluster. */
  private List<String> fence(List<ShardReconcile> shards, Origin origin, Connection connection)
      throws SQLException {
    List<RelayPosition> positions = new ArrayList<>();
    for (ShardReconcile shard : shards) {
      positions.add(shard.fence());
    }
    long maxSeq = positions.stream().mapToLong(RelayPosition::maxSeq).max().orElse(0);
    progress.accept("%d shards are fenced".formatted(shards.size()));
    // no number is handed out twice
    try (PreparedStatement bump =
        connection.prepareStatement(
            "SELECT setval('lockstep_outbox_seq', ?) FROM lockstep_outbox_seq"
                + " WHERE last_value < ?")) {
      bump.setLong(1, maxSeq + SEQ_JUMP);
      bump.setLong(2, maxSeq);
      bump.execute();
    }
    // in another one transactions have other ids
    return positions.stream()
        .filter(position -> position.origin().system().equals(origin.system()))
        .map(RelayPosition::prev)
        .toList();
  }
}
