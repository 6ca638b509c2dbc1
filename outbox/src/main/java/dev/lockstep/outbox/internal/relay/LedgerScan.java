package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * A ledger as a reconcile finds it.
 *
 * @param snapshot whose rows are decided about
 * @param ids of these rows, and of those that wait elsewhere
 * @param rows how many the snapshot sees
 * @param highestSeqs highest seq by shard
 */
record LedgerScan(String snapshot, RowIds ids, long rows, Map<Integer, Long> highestSeqs) {

  /**
   * When what is there was written, or came to where it waits; clock of the database.
   *
   * @param now when this was read
   */
  record Times(
      Instant now, @Nullable Instant row, @Nullable Instant aside, @Nullable Instant scheduled) {

    /** Returns the first of them; null: there is nothing. */
    @Nullable Instant first() {
      return Stream.of(row, aside, scheduled)
          .filter(Objects::nonNull)
          .map(Objects::requireNonNull)
          .min(Instant::compareTo)
          .orElse(null);
    }
  }

  private static final String DISCARD = "discard ";
  private static final int FETCH = 5_000;
  private static final Duration BEYOND = Duration.ofSeconds(2);
  private static final Duration OPEN = Duration.ofSeconds(10);
  private static final Duration PAUSE = Duration.ofMillis(50);

  /** Returns the seq of the last row of a shard; 0: it has none. */
  long highest(int shard) {
    return highestSeqs.getOrDefault(shard, 0L);
  }

  /**
   * Takes a snapshot and notes what it sees. Nobody else may publish or move delayed messages
   * meanwhile.
   *
   * @param ids empty
   * @param published snapshots of this cluster that rows were published up to
   */
  static LedgerScan of(Connection connection, RowIds ids, List<String> published)
      throws SQLException {
    adopt(connection);
    try (Statement statement = connection.createStatement()) {
      String snapshot = snapshot(statement, published);
      long rows = markVisible(connection, snapshot, ids);
      mark(statement, "SELECT id FROM lockstep_outbox_parked", ids, RowIds.ASIDE);
      mark(statement, "SELECT id FROM lockstep_outbox_scheduled", ids, RowIds.SCHEDULED);
      markDiscarded(statement, ids);
      Map<Integer, Long> highest = new HashMap<>();
      try (PreparedStatement select =
          connection.prepareStatement(
              "SELECT shard, max(seq) FROM lockstep_outbox"
                  + " WHERE pg_visible_in_snapshot(xid, ?::pg_snapshot) GROUP BY shard")) {
        select.setString(1, snapshot);
        try (ResultSet row = select.executeQuery()) {
          while (row.next()) {
            highest.put(row.getInt(1), row.getLong(2));
          }
        }
      }
      return new LedgerScan(snapshot, ids, rows, highest);
    }
  }

  /**
   * Rows that came here by a dump bear transaction ids of another cluster. One that this cluster
   * has not handed out yet, or whose transaction is open here, would be taken for a new row when
   * that ends: such a row is seen, and its id is not. They get this transaction's.
   */
  private static void adopt(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String table : new String[] {"lockstep_outbox", "lockstep_outbox_parked"}) {
        statement.executeUpdate(
            "UPDATE "
                + table
                + " SET xid = pg_current_xact_id()"
                + " WHERE NOT pg_visible_in_snapshot(xid, pg_current_snapshot())");
      }
    }
  }

  /**
   * A relay that follows the log publishes what is about to be visible; that takes no time. But a
   * transaction that was published and stays open comes from another history: a prepared one that a
   * restore brought back. Its rows would be new ones when it ends.
   */
  private static String snapshot(Statement statement, List<String> published) throws SQLException {
    List<Seen> before = published.stream().map(Seen::of).toList();
    long begun = System.nanoTime();
    while (true) {
      String snapshot;
      try (ResultSet row = statement.executeQuery("SELECT pg_current_snapshot()::text")) {
        row.next();
        snapshot = row.getString(1);
      }
      Seen now = Seen.of(snapshot);
      Set<Long> open = new TreeSet<>();
      before.forEach(seen -> open.addAll(seen.openIn(now)));
      boolean beyond = before.stream().anyMatch(seen -> seen.reachesBeyond(now));
      long waited = System.nanoTime() - begun;
      // beyond: or ids of another history, which this database has yet to hand out
      if (open.isEmpty() && (!beyond || waited > BEYOND.toNanos())) {
        return snapshot;
      }
      if (waited > OPEN.toNanos()) {
        throw new OutboxException(
            "Transactions %s are open, and positions say that their ids were published: end them (see pg_prepared_xacts and pg_stat_activity.backend_xid), then run again"
                .formatted(open));
      }
      LockSupport.parkNanos(PAUSE.toNanos());
    }
  }

  private static long markVisible(Connection connection, String snapshot, RowIds ids)
      throws SQLException {
    long rows = 0;
    // rows come in portions only inside a transaction
    connection.setAutoCommit(false);
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id FROM lockstep_outbox WHERE pg_visible_in_snapshot(xid, ?::pg_snapshot)")) {
      select.setFetchSize(FETCH);
      select.setString(1, snapshot);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          ids.mark(Dialect.POSTGRESQL.id(row, 1), RowIds.LEDGER);
          rows++;
        }
      }
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
    return rows;
  }

  private static void mark(Statement statement, String select, RowIds ids, int mark)
      throws SQLException {
    try (ResultSet row = statement.executeQuery(select)) {
      while (row.next()) {
        ids.mark(Dialect.POSTGRESQL.id(row, 1), mark);
      }
    }
  }

  /** What an operator dropped must not come back because it is in no topic. */
  private static void markDiscarded(Statement statement, RowIds ids) throws SQLException {
    try (ResultSet row =
        statement.executeQuery(
            "SELECT operation FROM lockstep_outbox_operation WHERE operation ~ '^"
                + DISCARD
                + "[0-9a-f-]{36}$'")) {
      while (row.next()) {
        UUID id = UUID.fromString(row.getString(1).substring(DISCARD.length()));
        if (ids.marks(id) != 0) {
          ids.mark(id, RowIds.DISCARDED);
        }
      }
    }
  }

  /**
   * Marks rows as found that were written before a time, but for those aside.
   *
   * @return how many were not found
   */
  long markPublished(Connection connection, Instant before) throws SQLException {
    long marked = 0;
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id FROM lockstep_outbox WHERE created_at < ?"
                + " AND pg_visible_in_snapshot(xid, ?::pg_snapshot)")) {
      Dialect.POSTGRESQL.setTime(select, 1, before);
      select.setString(2, snapshot);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          UUID id = Dialect.POSTGRESQL.id(row, 1);
          if ((ids.marks(id) & RowIds.ASIDE) == 0 && ids.mark(id, RowIds.FOUND)) {
            marked++;
          }
        }
      }
    }
    return marked;
  }

  /** Deletes messages that wait for their time although they are found; returns how many. */
  long forgetScheduled(Connection connection) throws SQLException {
    long deleted = 0;
    try (PreparedStatement select =
            connection.prepareStatement("SELECT id FROM lockstep_outbox_scheduled");
        PreparedStatement delete =
            connection.prepareStatement("DELETE FROM lockstep_outbox_scheduled WHERE id = ?");
        ResultSet row = select.executeQuery()) {
      while (row.next()) {
        UUID id = Dialect.POSTGRESQL.id(row, 1);
        if ((ids.marks(id) & RowIds.FOUND) != 0) {
          delete.setObject(1, id);
          deleted += delete.executeUpdate();
        }
      }
    }
    return deleted;
  }

  /** Returns the shards of each lane. */
  static int shards(Connection connection) throws SQLException {
    return (int) number(connection, "SELECT shards FROM lockstep_outbox_meta");
  }

  /** Returns how many rows wait aside. */
  static long aside(Connection connection) throws SQLException {
    return number(connection, "SELECT count(*) FROM lockstep_outbox_parked");
  }

  /** Returns all topics that rows were, or may have been, published to. */
  static Set<String> topics(Connection connection) throws SQLException {
    return texts(
        connection,
        "SELECT topic FROM lockstep_outbox_topic UNION SELECT topic FROM lockstep_outbox"
            + " UNION SELECT topic FROM lockstep_outbox_parked"
            + " UNION SELECT topic FROM lockstep_outbox_scheduled");
  }

  /** Returns the ids that the outbox had, and has. */
  static Set<String> sources(Connection connection) throws SQLException {
    return texts(
        connection,
        "SELECT unnest(former_sources)::text FROM lockstep_outbox_meta"
            + " UNION SELECT source::text FROM lockstep_outbox_meta");
  }

  /** Returns how far back it reaches. */
  static Times times(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row =
            statement.executeQuery(
                "SELECT "
                    + Dialect.POSTGRESQL.now()
                    + ", (SELECT "
                    + Dialect.POSTGRESQL.millis("min(created_at)")
                    + " FROM lockstep_outbox), (SELECT "
                    + Dialect.POSTGRESQL.millis("min(parked_at)")
                    + " FROM lockstep_outbox_parked), (SELECT "
                    + Dialect.POSTGRESQL.millis("min(greatest(created_at, not_before))")
                    + " FROM lockstep_outbox_scheduled WHERE not_before <= now())")) {
      row.next();
      return new Times(
          Instant.ofEpochMilli(row.getLong(1)), time(row, 2), time(row, 3), time(row, 4));
    }
  }

  private static @Nullable Instant time(ResultSet row, int column) throws SQLException {
    long millis = row.getLong(column);
    return row.wasNull() ? null : Instant.ofEpochMilli(millis);
  }

  private static long number(Connection connection, String sql) throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
    }
  }

  private static Set<String> texts(Connection connection, String sql) throws SQLException {
    Set<String> texts = new TreeSet<>();
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      while (row.next()) {
        texts.add(row.getString(1));
      }
    }
    return texts;
  }
}
