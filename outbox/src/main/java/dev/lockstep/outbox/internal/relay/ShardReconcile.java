package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.relay.RelayPosition.Origin;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import javax.sql.DataSource;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A reconcile's part in one shard: takes it over as a relay does, and publishes what no topic has.
 * Used by one thread.
 *
 * <p>Crash points: as in {@link Publishing}. Until the last one, its positions bear an origin that
 * no ledger has; a later run pays no heed to them, the topics say what was published.
 */
final class ShardReconcile {

  /**
   * What all shards have in common.
   *
   * @param source of the outbox from now on
   * @param id marks positions of this run
   */
  record Run(
      DataSource dataSource,
      RelayOptions options,
      TopicTable topics,
      Destinations destinations,
      UUID source,
      UUID id) {}

  /**
   * What is to be published.
   *
   * @param ledger that the shard's position is in when this ends
   * @param snapshot whose rows are decided about
   * @param highest seq that it sees in this shard; 0: none
   * @param ids told which rows were published
   */
  record Task(Origin ledger, String snapshot, long highest, AbsentRows.Wanted wanted, RowIds ids) {}

  private record Owned(
      RelayPosition position,
      Connection connection,
      Parked parked,
      LaneSender lane,
      KnownTopics known) {}

  /** What a commit publishes is found from then on. */
  private final class Sent implements Publishing.Tally {

    private final RowIds ids;
    private final List<UUID> rows = new ArrayList<>();

    Sent(RowIds ids) {
      this.ids = ids;
    }

    @Override
    public void add(List<LedgerRow> page) {
      page.forEach(row -> rows.add(row.id()));
    }

    @Override
    public void published(long nanos, RelayPosition position) {
      sent += rows.size();
      rows.forEach(id -> ids.mark(id, RowIds.FOUND));
    }
  }

  private interface Work {
    void with(Owned owned) throws SQLException;
  }

  private static final Logger LOG = LoggerFactory.getLogger(ShardReconcile.class);
  private static final int ATTEMPTS = 10;
  private static final long PAUSE_NANOS = Duration.ofMillis(500).toNanos();
  private static final Duration CLOSE = Duration.ofSeconds(5);

  private final Run run;
  private final int shard;
  private final PageSize page;
  private final Map<Long, String> condemned = new HashMap<>();
  private long sent;
  private long returned;
  private @Nullable RelayPosition before;

  ShardReconcile(Run run, int shard) {
    this.run = run;
    this.shard = shard;
    this.page =
        new PageSize(run.options().pageRows(), run.options().transactionTimeout().toNanos() / 4);
  }

  /** Rows that were published. */
  long sent() {
    return sent;
  }

  /** Rows that waited aside although they were published. */
  long returned() {
    return returned;
  }

  /** Fences every relay of the shard and returns the position that was reached. */
  RelayPosition fence() throws SQLException {
    repeat(null, owned -> {});
    return Objects.requireNonNull(before);
  }

  /** Publishes what is wanted, and leaves a position behind that relays go on from. */
  void publish(Task task) throws SQLException {
    repeat(task, owned -> publish(task, owned));
  }

  private void publish(Task task, Owned owned) throws SQLException {
    forgetPublished(task.ids(), owned);
    AbsentRows absent =
        new AbsentRows(
            owned.connection(),
            shard,
            lane(),
            owned.position().relayEpoch(),
            task.snapshot(),
            task.wanted());
    Publishing publishing =
        new Publishing(
            new Publishing.Surroundings(
                absent,
                owned.parked(),
                owned.lane(),
                new RowSorter(owned.known(), owned.parked().blocked(), condemned),
                owned.known(),
                new NotedVerdicts(condemned, run.destinations()),
                page,
                () -> new Sent(task.ids()),
                System::nanoTime),
            owned.position());
    while (!absent.isDrained()) {
      if (!publishing.turn() && !absent.isDrained()) {
        look();
      }
    }
    owned.lane().settle();
    owned
        .lane()
        .commit(
            List.of(),
            publishing.position().reconciled(task.ledger(), task.snapshot(), task.highest()));
    owned.lane().settle();
  }

  /** Its topic is away; for five seconds it is waited for. */
  private void look() throws SQLException {
    try {
      run.destinations().look(run.topics().registered());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while reconciling shard " + shard, e);
    }
    LockSupport.parkNanos(PAUSE_NANOS);
  }

  private void forgetPublished(RowIds ids, Owned owned) throws SQLException {
    List<String> published = new ArrayList<>();
    try (PreparedStatement select =
        owned
            .connection()
            .prepareStatement("SELECT seq, id FROM lockstep_outbox_parked WHERE shard = ?")) {
      select.setInt(1, shard);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          UUID id = row.getObject(2, UUID.class);
          if ((ids.marks(id) & RowIds.FOUND) != 0) {
            published.add(row.getLong(1) + ":" + id);
          }
        }
      }
    }
    owned.parked().forget(published);
    returned += published.size();
  }

  /**
   * After any failure, and after every outcome that is not known, the shard is taken over again and
   * its position says how far this run came.
   *
   * @param task null: nothing is published
   */
  private void repeat(@Nullable Task task, Work work) throws SQLException {
    for (int attempt = 1; ; attempt++) {
      try {
        own(task, work);
        return;
      } catch (KafkaException e) {
        if (e instanceof RefusedException refusal && refusal.row() != null) {
          // known now, or closer to being known
          attempt--;
        } else if (attempt == ATTEMPTS) {
          throw new OutboxException(
              "Shard %d of outbox '%s' could not be reconciled in %d attempts: %s. Run it again; if another relay takes the shard each time, stop the relays"
                  .formatted(shard, run.options().name(), ATTEMPTS, e),
              e);
        }
        LOG.info("Shard {} of outbox '{}': again", shard, run.options().name(), e);
        page.shrink();
        look();
      }
    }
  }

  private void own(@Nullable Task task, Work work) throws SQLException {
    KafkaProducer<byte[], byte[]> transactional = Producers.transactional(run.options(), shard);
    try (SnapshotLedger session = new SnapshotLedger(run.dataSource(), shard, lane())) {
      Connection connection = session.connection();
      Reconcile.requireStill(connection, run.source());
      transactional.initTransactions();
      // another run that began meanwhile was fenced by this; and must not be
      Reconcile.requireStill(connection, run.source());
      HangingTransactions hanging =
          new HangingTransactions(
              run.options(), shard, run.topics(), run.destinations(), connection);
      RelayPosition committed =
          PositionReader.read(run.options().config(), run.options().positionsTopic(), shard);
      if (task == null) {
        // what they hold is read next: absent rows come again, whatever became of them
        hanging.endAll();
      }
      RelayPosition found = task == null ? committed : hanging.position(committed, connection);
      if (task != null && found.origin().equals(task.ledger())) {
        // the last commit was not answered, but came through
        return;
      }
      if (before == null) {
        // nobody else publishes from here on, and the next one that is found is this run's own
        before = found;
        remember(connection, found.origin());
      }
      long epoch = Math.max(found.relayEpoch(), ownerEpoch(connection)) + 1;
      RelayPosition position = found.reconciling(run.id(), epoch);
      if (task != null) {
        var unused = hanging.settle(rows -> behind(connection, position, rows));
      }
      KnownTopics known = new KnownTopics(run.topics(), run.destinations(), connection);
      RowRecords records = new RowRecords(run.options().name(), run.source(), shard, epoch, known);
      try (LaneSender lane = lane(transactional, records)) {
        lane.commit(List.of(), position);
        lane.settle();
        Parked parked = new Parked(connection, shard, lane(), epoch);
        parked.own();
        work.with(new Owned(position, connection, parked, lane, known));
      }
    } finally {
      transactional.close(CLOSE);
    }
  }

  /** This run sends in the order of numbers, so its position tells what it has sent. */
  private Set<UUID> behind(Connection connection, RelayPosition position, Set<UUID> rows)
      throws SQLException {
    Set<UUID> behind = new HashSet<>();
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id FROM lockstep_outbox WHERE shard = ? AND seq > ? AND id = ANY(?)")) {
      select.setInt(1, shard);
      select.setLong(2, position.lastSeq());
      select.setArray(3, connection.createArrayOf("uuid", rows.toArray()));
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          behind.add(row.getObject(1, UUID.class));
        }
      }
    }
    return behind;
  }

  /** Its rows are the outbox's as well; the database may have forgotten that. */
  private static void remember(Connection connection, Origin origin) throws SQLException {
    if (origin.source().isEmpty() || origin.isUnfinished()) {
      return;
    }
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_outbox_meta SET former_sources = array_append(former_sources, ?)"
                + " WHERE source <> ? AND NOT ? = ANY(former_sources)")) {
      for (int i = 1; i <= 3; i++) {
        update.setObject(i, UUID.fromString(origin.source()));
      }
      update.executeUpdate();
    }
  }

  private long ownerEpoch(Connection connection) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement("SELECT epoch FROM lockstep_outbox_owner WHERE shard = ?")) {
      select.setInt(1, shard);
      try (ResultSet row = select.executeQuery()) {
        return row.next() ? row.getLong(1) : 0;
      }
    }
  }

  private int lane() {
    return shard < run.options().shards() ? 0 : 1;
  }

  private LaneSender lane(KafkaProducer<byte[], byte[]> transactional, RowRecords records) {
    return lane() == 0
        ? new ExactlyOnceSender(transactional, records, this::positionRecord)
        : new ExpressSender(transactional, run.options(), records, this::positionRecord);
  }

  private ProducerRecord<byte[], byte[]> positionRecord(RelayPosition position) {
    byte[] key = Integer.toString(shard).getBytes(StandardCharsets.UTF_8);
    return new ProducerRecord<>(run.options().positionsTopic(), shard, key, position.encode());
  }
}
