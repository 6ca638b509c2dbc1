package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.relay.OpenTransactions.Hanging;
import dev.lockstep.outbox.internal.relay.OpenTransactions.Look;
import dev.lockstep.outbox.internal.write.TopicTable;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.RowSource;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.stream.Collectors;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.header.Headers;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Transactions of a shard that their coordinator ended and a partition never heard of (decision
 * 0020). What the next owner sends there joins them, so that its commit makes old and new records
 * visible together: right for rows that the position has passed, a repeat of all others.
 *
 * <p>Made right after {@code initTransactions}, asked before anything is sent; used by that thread,
 * but for {@link #isOpen}.
 */
final class HangingTransactions {

  /** Decides which rows come, again or for the first time. */
  interface Unpassed {
    Set<UUID> of(Set<UUID> rows) throws SQLException;
  }

  /** One that is left to the next commit in its partition. */
  record Left(Hanging hanging, String note) {}

  private static final Logger LOG = LoggerFactory.getLogger(HangingTransactions.class);

  /** Clocks of relays and brokers may differ by so much. */
  private static final Duration MARGIN = Duration.ofMinutes(10);

  private final RelayOptions options;
  private final int shard;
  private final OpenTransactions transactions;
  private final TopicPartition positions;
  private final Set<TopicPartition> destinations;
  private final Set<String> denied = new TreeSet<>();
  private final String source;
  private final Look look;

  /** Looks at the position topic, and at topics of the exactly-once lane that exist. */
  HangingTransactions(
      RelayOptions options,
      int shard,
      TopicTable topics,
      Destinations destinations,
      Connection connection)
      throws SQLException {
    this.options = options;
    this.shard = shard;
    this.transactions =
        new OpenTransactions(destinations.admin(), Producers.transactionalId(options, shard));
    this.positions = new TopicPartition(options.positionsTopic(), shard);
    this.destinations =
        isExpress() ? Set.of() : partitions(topics.all(connection).values(), destinations);
    Set<TopicPartition> all = new HashSet<>();
    for (TopicPartition partition : this.destinations) {
      if (destinations.mayBeRead(partition.topic())) {
        all.add(partition);
      } else {
        denied.add(partition.topic());
      }
    }
    all.add(positions);
    this.source = source(connection);
    this.look = transactions.look(all);
    denied.addAll(look.denied());
  }

  private static String source(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT source FROM lockstep_outbox_meta")) {
      if (!row.next()) {
        throw new SQLException("lockstep_outbox_meta has no row: run the migration");
      }
      return row.getString(1);
    }
  }

  private static Set<TopicPartition> partitions(
      Iterable<TopicTable.Topic> topics, Destinations destinations) {
    Set<String> names = new TreeSet<>();
    topics.forEach(
        topic -> {
          if (topic.lane() == Lane.EXACTLY_ONCE) {
            names.add(topic.name());
          }
        });
    Set<String> unseen =
        names.stream()
            .filter(topic -> destinations.partitions(topic) == 0)
            .collect(Collectors.toSet());
    try {
      if (!unseen.isEmpty()) {
        destinations.look(unseen);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OutboxException("Interrupted while looking at topics", e);
    }
    Set<TopicPartition> partitions = new HashSet<>();
    for (String topic : names) {
      for (int i = 0; i < destinations.partitions(topic); i++) {
        partitions.add(new TopicPartition(topic, i));
      }
    }
    return partitions;
  }

  /** Topics of which it cannot be told, for want of a right. */
  Set<String> denied() {
    return denied;
  }

  /**
   * Returns where the shard goes on.
   *
   * <p>Positions in a transaction that hangs are not read as committed. One of them holds when its
   * transaction was committed: its rows are visible in another partition, or were deleted behind
   * it. Where its rows hang as well, or were aborted, it does not: they come again. On the express
   * lane rows are acknowledged before their position is written, so it holds in any case.
   *
   * @param committed the last position that is read as committed
   * @throws OutboxException when it cannot be told
   */
  RelayPosition position(RelayPosition committed, Connection connection) throws SQLException {
    Hanging own = inPositions();
    if (own == null) {
      return committed;
    }
    List<RelayPosition> found = new ArrayList<>();
    long[] since = {Long.MAX_VALUE};
    Stretches.readAll(
        options.config(),
        positions,
        own.from(),
        record -> {
          found.add(RelayPosition.decode(record.value()));
          since[0] = Math.min(since[0], record.timestamp());
        });
    Set<UUID> sent = new HashSet<>();
    for (RelayPosition position : found) {
      sent.addAll(UnpassedRows.between(connection, shard, committed, position));
    }
    Set<UUID> visible = isExpress() || sent.isEmpty() ? sent : visible(sent, since[0], own);
    RelayPosition last = committed;
    boolean holds = false;
    long epoch = committed.relayEpoch();
    for (RelayPosition position : found) {
      epoch = Math.max(epoch, position.relayEpoch());
      Set<UUID> rows = UnpassedRows.between(connection, shard, last, position);
      if (rows.isEmpty()
          || rows.stream().anyMatch(visible::contains)
          || UnpassedRows.areDeleted(connection, shard, position)) {
        last = position;
        holds = true;
      }
    }
    LOG.warn(
        "Shard {} of outbox '{}': a transaction hangs in {} from offset {} on; its position {}",
        shard,
        options.name(),
        positions,
        own.from(),
        holds ? "holds" : "does not hold, its rows are visible nowhere");
    // no two owners have the same
    return last.atEpoch(epoch);
  }

  private @Nullable Hanging inPositions() {
    return look.hanging().stream()
        .filter(one -> one.partition().equals(positions))
        .findFirst()
        .orElse(null);
  }

  private Set<UUID> visible(Set<UUID> rows, long sinceMillis, Hanging own) {
    if (!denied.isEmpty()) {
      throw new OutboxException(
          "The last position of shard %d hangs in %s from offset %d on, and whether its rows are committed cannot be seen: grant READ on %s. Or look yourself: where no message of %s is committed in any topic, run '%s'"
              .formatted(
                  shard,
                  positions,
                  own.from(),
                  denied,
                  rows.stream().limit(3).toList(),
                  own.command(options.config().bootstrapServers())));
    }
    Map<TopicPartition, Long> upTo = new HashMap<>();
    look.hanging().stream()
        .filter(one -> !one.partition().equals(positions))
        .forEach(one -> upTo.put(one.partition(), one.from()));
    Set<UUID> visible = new HashSet<>();
    Stretches.readCommitted(
        options.config(),
        destinations,
        sinceMillis - MARGIN.toMillis(),
        upTo,
        record -> {
          UUID row = row(record.headers());
          if (row != null && rows.contains(row)) {
            visible.add(row);
          }
        });
    return visible;
  }

  /**
   * Ends those whose rows come again, and leaves those whose rows are committed.
   *
   * @return what was left
   * @throws OutboxException when one cannot be ended: what would be sent there would come twice
   */
  List<Left> settle(Unpassed unpassed) throws SQLException {
    List<Left> left = new ArrayList<>();
    for (Hanging one : look.hanging()) {
      if (one.partition().equals(positions)) {
        // the next commit there ends it, and stands behind it
        continue;
      }
      Set<UUID> rows = rows(one);
      Set<UUID> again = unpassed.of(rows);
      if (again.size() == rows.size()) {
        end(one);
      } else if (again.isEmpty()) {
        left.add(left(one, rows.size()));
      } else {
        throw new OutboxException(
            "A transaction hangs in %s from offset %d on, with %d rows of shard %d that are committed and %d that are to be sent again: let OutboxAdmin.reconcile put that right (PostgreSQL). Else run '%s', which loses the former, such as %s"
                .formatted(
                    one.partition(),
                    one.from(),
                    rows.size() - again.size(),
                    shard,
                    again.size(),
                    one.command(options.config().bootstrapServers()),
                    rows.stream().filter(row -> !again.contains(row)).limit(3).toList()));
      }
    }
    return left;
  }

  /** Ends all of them, as far as that is allowed: who asks compares ids with the topics. */
  void endAll() {
    for (Hanging one : look.hanging()) {
      Throwable failure = one.partition().equals(positions) ? null : transactions.abort(one);
      if (failure == null) {
        LOG.warn("Shard {}: ended a transaction that hung: {}", shard, one);
      } else {
        LOG.warn("Shard {}: a transaction hangs and cannot be ended: {}", shard, one, failure);
      }
    }
  }

  /** Tells whether one that was left is open still. */
  boolean isOpen(Left left) {
    return transactions.isOpen(left.hanging());
  }

  private void end(Hanging one) {
    Throwable failure = transactions.abort(one);
    if (failure != null) {
      String text =
          "A transaction hangs in %s from offset %d on; its rows were not committed, and sent now they would come twice. It could not be ended (%s): grant this relay ALTER on the cluster, or run '%s'"
              .formatted(
                  one.partition(),
                  one.from(),
                  failure,
                  one.command(options.config().bootstrapServers()));
      throw failure instanceof AuthorizationException
          ? new OutboxException(text, failure)
          : new KafkaException(text, failure);
    }
    LOG.warn(
        "Shard {} of outbox '{}': ended a transaction that was aborted and hung in {} from offset {} on",
        shard,
        options.name(),
        one.partition(),
        one.from());
  }

  private Left left(Hanging one, int rows) {
    String note =
        "readers of %s stand at offset %d, where a transaction hangs; its %d rows are committed and come with the next message of shard %d there. If none comes soon run OutboxAdmin.reconcile (PostgreSQL); do not abort it, that would lose them"
            .formatted(one.partition(), one.from(), rows, shard);
    LOG.warn("Outbox '{}': {}", options.name(), note);
    return new Left(one, note);
  }

  /** The rows of this shard behind its beginning are its own: a commit would have ended it. */
  private Set<UUID> rows(Hanging one) {
    Set<UUID> rows = new HashSet<>();
    Stretches.readAll(
        options.config(),
        one.partition(),
        one.from(),
        record -> {
          UUID row = row(record.headers());
          if (row != null) {
            rows.add(row);
          }
        });
    return rows;
  }

  /** Returns the row of this shard that a record is; null: it is none, or a copy. */
  private @Nullable UUID row(Headers headers) {
    try {
      RowSource from = RowSource.of(headers);
      return from == null
              || from.shard() != shard
              || !from.source().toString().equals(source)
              || LockstepHeaders.text(headers, LockstepHeaders.REPLAY) != null
          ? null
          : from.row();
    } catch (MalformedRecordException e) {
      return null;
    }
  }

  private boolean isExpress() {
    return shard >= options.shards();
  }
}
