package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Reads a shard's rows by the difference of two snapshots, in seq order.
 *
 * <p>A cursor on seq would skip rows whose transaction commits later; a snapshot difference holds
 * each transaction exactly once, and a long transaction stalls nobody (decision 0004). One
 * statement in READ COMMITTED sees one snapshot, the one it returns.
 */
final class SnapshotLedger implements Ledger {

  private static final String FROM =
      Dialect.POSTGRESQL.columns() + "FROM lockstep_outbox WHERE shard = ? ";

  /**
   * Transactions that were open at {@code prev} are looked up one by one, and only those that ended
   * since: a thousand open ones cost a comparison.
   */
  private static final String SINCE =
      "SELECT"
          + FROM
          + "AND xid >= pg_snapshot_xmax(?::pg_snapshot)"
          + " AND xid < pg_snapshot_xmax(cur.s) AND pg_visible_in_snapshot(xid, cur.s)"
          + " UNION ALL SELECT"
          + FROM
          + "AND xid IN (SELECT pg_snapshot_xip(?::pg_snapshot)"
          + " EXCEPT SELECT pg_snapshot_xip(cur.s))"
          + " AND pg_visible_in_snapshot(xid, cur.s)";

  private static final String WINDOW =
      "SELECT"
          + FROM
          + "AND seq > ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
          + " AND NOT pg_visible_in_snapshot(xid, ?::pg_snapshot)";

  private static final String UNPUBLISHED =
      Rows.bounded("SELECT" + FROM + "AND seq > ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)");

  /** A scan by seq passes rows that are published as well; that costs a quarter of a sort. */
  private static final int SORT = 4;

  /** With fewer rows it does not matter. */
  private static final long MANY = 10_000;

  private static final List<String> SETTINGS =
      List.of(
          "synchronous_commit",
          "plan_cache_mode",
          "idle_in_transaction_session_timeout",
          "enable_seqscan",
          "enable_bitmapscan");

  /** The table is often empty when it is analyzed: a plan made then is bad for a backlog. */
  private static final String PLAN_FOR_BACKLOG = "SET plan_cache_mode = force_custom_plan";

  /** Planning takes ten times as long as looking for the few rows of a quiet ledger. */
  private static final String PLAN_ONCE = "SET plan_cache_mode = force_generic_plan";

  private final Connection connection;
  private final int shard;
  private final int lane;
  private final String poll;
  private final String quietPoll;
  private final String page;
  private final String smallPage;

  /** Set when no rows are left that {@code prev} sees although nobody published them. */
  private boolean recovered;

  /** Set by the first look for rows. */
  private boolean begun;

  private long epoch = Long.MAX_VALUE;

  /** The last page had a row that is not small, or was cut before one. */
  private boolean large;

  /** The last poll left nothing. */
  private boolean quiet;

  private String emptyAt = RelayPosition.START.prev();

  SnapshotLedger(DataSource dataSource, int shard, int lane) throws SQLException {
    this.connection = dataSource.getConnection();
    this.shard = shard;
    this.lane = lane;
    this.poll = Rows.owned(poll(Rows.bounded(SINCE)), shard);
    this.quietPoll = Rows.owned(poll(Rows.fewBounded(SINCE)), shard);
    this.page = Rows.owned(Rows.bounded(WINDOW), shard);
    this.smallPage = Rows.owned(Rows.small(WINDOW), shard);
    try (Statement statement = connection.createStatement()) {
      connection.setAutoCommit(true);
      // rows aside must not be lost where the position has passed them
      statement.execute("SET synchronous_commit = on");
      statement.execute(PLAN_FOR_BACKLOG);
      // one that stands still in a transaction holds up whoever takes its shard over
      statement.execute("SET idle_in_transaction_session_timeout = '5s'");
      statement.execute("SET enable_seqscan = off");
      statement.execute("SET enable_bitmapscan = off");
    } catch (SQLException e) {
      connection.close();
      throw e;
    }
  }

  private static String poll(String bounded) {
    return "WITH cur AS MATERIALIZED (SELECT pg_current_snapshot() AS s)"
        + " SELECT cur.s::text AS snapshot, o.* FROM cur LEFT JOIN LATERAL ("
        + bounded
        + " ) o ON true";
  }

  @Override
  public Connection connection() {
    return connection;
  }

  @Override
  public RelayPosition takeOver(RelayPosition found) throws SQLException {
    LedgerIdentity.Now now = LedgerIdentity.now(connection);
    LedgerIdentity.require(found, now, connection, shard);
    return found.takenOver(now.origin(), now.snapshot());
  }

  @Override
  public void owned(long relayEpoch) {
    epoch = relayEpoch;
  }

  @Override
  public @Nullable Page next(RelayPosition position, int limit) throws SQLException {
    // the first snapshot of all sees nothing, and a whole backlog would be asked
    if (!recovered && !position.prev().equals(RelayPosition.START.prev())) {
      List<LedgerRow> rows = unpublished(position, limit);
      if (!rows.isEmpty()) {
        // asked ahead, the end of them would be taken for certain before it is
        return new Page(rows, false, sorted -> position.recovered(sorted.passed()));
      }
    }
    recovered = true;
    if (!position.window().isEmpty()) {
      return page(position, position.window(), position.lastSeq(), limit);
    }
    if (!begun) {
      begun = true;
      if (isBacklog(position)) {
        // a poll would find all of it by transaction, and sort it for the sake of its first page
        return page(position, visible().toString(), 0, limit);
      }
    }
    return poll(position, limit);
  }

  /** Estimates whether most of the ledger waits. Only the way to the rows depends on it. */
  private boolean isBacklog(RelayPosition position) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT min(seq), max(seq) FROM lockstep_outbox WHERE shard = ?")) {
      select.setInt(1, shard);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        long published = position.maxSeq() - row.getLong(1);
        long waiting = row.getLong(2) - position.maxSeq();
        return waiting > MANY && waiting > published / SORT;
      }
    }
  }

  /** The snapshot in which nothing was left when {@link #next} last returned null. */
  String emptyAt() {
    return emptyAt;
  }

  /**
   * Returns what a statement sees now.
   *
   * @throws org.apache.kafka.common.errors.ProducerFencedException when a later relay owns the
   *     shard
   */
  Seen visible() throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT pg_current_snapshot()::text AS snapshot, (SELECT epoch"
                + " FROM lockstep_outbox_owner WHERE shard = ?) AS owner_epoch")) {
      select.setInt(1, shard);
      try (ResultSet row = select.executeQuery()) {
        row.next();
        Rows.requireOwner(row, shard, epoch);
        return Seen.of(row.getString("snapshot"));
      }
    }
  }

  /** Begins and ends a transaction: all that had begun before have smaller ids than this one. */
  long newTransaction() throws SQLException {
    try (Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT pg_current_xact_id()::text::bigint")) {
      row.next();
      return row.getLong(1);
    }
  }

  /** Takes a snapshot and returns the first rows that are visible in it and not in the last one. */
  private @Nullable Page poll(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(quiet ? quietPoll : poll)) {
      select.setInt(1, shard);
      select.setString(2, position.prev());
      select.setInt(3, shard);
      select.setString(4, position.prev());
      select.setInt(5, limit + 1);
      select.setLong(6, PageSize.BYTES);
      List<LedgerRow> rows = new ArrayList<>();
      String snapshot = position.prev();
      try (ResultSet result = select.executeQuery()) {
        RowReader reader = new RowReader(result, lane, Dialect.POSTGRESQL);
        while (result.next()) {
          if (rows.isEmpty()) {
            // one statement, one snapshot: the same in all
            Rows.requireOwner(result, shard, epoch);
            snapshot = result.getString("snapshot");
            if (result.getObject("seq") == null) {
              break;
            }
          }
          rows.add(reader.read());
        }
      }
      if (rows.isEmpty()) {
        // an empty poll writes nothing; the old snapshot stays as good as the new one
        emptyAt = snapshot;
        setQuiet(true);
        return null;
      }
      boolean more = rows.size() > limit || PageSize.isFull(rows);
      setQuiet(!more);
      List<LedgerRow> first = rows.size() > limit ? rows.subList(0, limit) : rows;
      return page(position, snapshot, first, more);
    }
  }

  private void setQuiet(boolean now) throws SQLException {
    if (now != quiet) {
      try (Statement statement = connection.createStatement()) {
        statement.execute(now ? PLAN_ONCE : PLAN_FOR_BACKLOG);
      }
      quiet = now;
    }
  }

  /** Returns the next rows of a window that is being published. */
  private Page page(RelayPosition position, String window, long lastSeq, int limit)
      throws SQLException {
    setQuiet(false);
    if (!large && limit <= Rows.MOST_SMALL) {
      List<LedgerRow> rows = new ArrayList<>();
      large = !readSmall(position, window, lastSeq, limit, rows);
      if (!large || !rows.isEmpty()) {
        return page(position, window, rows, large || PageSize.isFull(rows, limit));
      }
    }
    try (PreparedStatement select = connection.prepareStatement(page)) {
      setWindow(select, position, window, lastSeq, limit);
      select.setLong(6, PageSize.BYTES);
      List<LedgerRow> rows = rows(select);
      large = rows.stream().anyMatch(row -> row.bytes() > Rows.SMALL);
      return page(position, window, rows, PageSize.isFull(rows, limit));
    }
  }

  /** Reads rows up to the first one that is not small; false: there is one. */
  private boolean readSmall(
      RelayPosition position, String window, long lastSeq, int limit, List<LedgerRow> rows)
      throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(smallPage)) {
      setWindow(select, position, window, lastSeq, limit);
      try (ResultSet result = select.executeQuery()) {
        RowReader reader = new RowReader(result, lane, Dialect.POSTGRESQL);
        while (result.next()) {
          if (rows.isEmpty()) {
            Rows.requireOwner(result, shard, epoch);
          }
          LedgerRow row = reader.read();
          if (row.bytes() > Rows.SMALL) {
            return false;
          }
          rows.add(row);
        }
        return true;
      }
    }
  }

  private void setWindow(
      PreparedStatement select, RelayPosition position, String window, long lastSeq, int limit)
      throws SQLException {
    select.setInt(1, shard);
    select.setLong(2, lastSeq);
    select.setString(3, window);
    select.setString(4, position.prev());
    select.setInt(5, limit);
  }

  private static Page page(
      RelayPosition position, String window, List<LedgerRow> rows, boolean more) {
    return new Page(
        rows,
        more,
        sorted ->
            sorted.isWhole() && !more
                ? position.drained(window, sorted.passed())
                : position.within(window, sorted.passed()));
  }

  /** Returns rows that {@code prev} sees although their seq was never published. */
  private List<LedgerRow> unpublished(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement select = connection.prepareStatement(Rows.owned(UNPUBLISHED, shard))) {
      select.setInt(1, shard);
      select.setLong(2, position.maxSeq());
      select.setString(3, position.prev());
      select.setInt(4, limit);
      select.setLong(5, PageSize.BYTES);
      return rows(select);
    }
  }

  @Override
  public void forget(List<String> undeleted) {
    // parked ones only
  }

  /** The connection may belong to the application's pool: nobody else must meet these settings. */
  @Override
  public void close() throws SQLException {
    try (Statement statement = connection.createStatement()) {
      for (String setting : SETTINGS) {
        statement.execute("RESET " + setting);
      }
    } catch (SQLException e) {
      // it is broken, or soon will be: a pool throws it away
      connection.abort(Runnable::run);
    } finally {
      connection.close();
    }
  }

  private List<LedgerRow> rows(PreparedStatement select) throws SQLException {
    try (ResultSet result = select.executeQuery()) {
      return Rows.owned(result, shard, epoch, lane, Dialect.POSTGRESQL);
    }
  }
}
