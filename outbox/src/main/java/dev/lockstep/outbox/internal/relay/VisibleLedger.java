package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.internal.relay.RelayPosition.Origin;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.UUID;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;

/**
 * Rows of a database without snapshots: one that can be seen is not published. There is no cursor,
 * so nothing can be skipped: a transaction that commits late is seen late.
 *
 * <p>Crash points: the position of a page names its rows by seq and id, in the Kafka transaction
 * that publishes them; they are deleted behind its commit, and nothing is read before that. Who
 * takes the shard over deletes what the position names. By both, since a server may hand out a seq
 * again (outbox-review, 7).
 */
final class VisibleLedger implements Ledger {

  /** The position names them all, and must stay a small record. */
  private static final int MOST = 2_000;

  private final Connection connection;
  private final Dialect dialect;
  private final int shard;
  private final int lane;
  private final int isolation;
  private final String select;
  private long epoch = Long.MAX_VALUE;

  VisibleLedger(DataSource dataSource, int shard, int lane) throws SQLException {
    this.connection = dataSource.getConnection();
    this.shard = shard;
    this.lane = lane;
    try {
      connection.setAutoCommit(true);
      this.dialect = Dialect.of(connection);
      this.isolation = connection.getTransactionIsolation();
      // each look sees what is committed by then, and a DELETE locks its rows only
      connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
    } catch (SQLException | RuntimeException e) {
      connection.close();
      throw e;
    }
    this.select =
        Rows.owned(
            Rows.bounded("SELECT" + dialect.columns() + "FROM lockstep_outbox WHERE shard = ?"),
            shard);
  }

  @Override
  public Connection connection() {
    return connection;
  }

  @Override
  public RelayPosition takeOver(RelayPosition found) throws SQLException {
    try (PreparedStatement meta =
            connection.prepareStatement("SELECT source FROM lockstep_outbox_meta");
        ResultSet row = meta.executeQuery()) {
      if (!row.next()) {
        throw new SQLException("lockstep_outbox_meta has no row: run the migration");
      }
      String source = row.getString(1);
      String before = found.origin().source();
      if (!before.isEmpty() && !before.equals(source)) {
        throw new OutboxException(
            "Position of shard %d belongs to outbox %s, this is %s: give a new outbox a new name, or create its position topic anew"
                .formatted(shard, before, source));
      }
      return found.takenOver(new Origin(source, "", 0));
    }
  }

  @Override
  public void owned(long relayEpoch) {
    epoch = relayEpoch;
  }

  @Override
  public @Nullable Page next(RelayPosition position, int limit) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(select)) {
      statement.setInt(1, shard);
      statement.setInt(2, Math.min(MOST, limit));
      statement.setLong(3, PageSize.BYTES);
      List<LedgerRow> rows;
      try (ResultSet result = statement.executeQuery()) {
        rows = Rows.owned(result, shard, epoch, lane, dialect);
      }
      // never ahead: its rows are there until they are deleted
      return rows.isEmpty()
          ? null
          : new Page(rows, false, sorted -> position.deleting(sorted.sent()));
    }
  }

  @Override
  public void forget(List<String> undeleted) throws SQLException {
    delete(undeleted.stream().map(Name::parse).toList());
  }

  /** The connection may belong to the application's pool: it goes back as it came. */
  @Override
  public void close() throws SQLException {
    try {
      connection.setTransactionIsolation(isolation);
    } catch (SQLException e) {
      // it is broken, or soon will be: a pool throws it away
      connection.abort(Runnable::run);
    } finally {
      connection.close();
    }
  }

  /** What a position calls a row. */
  record Name(long seq, UUID id) {

    static Name parse(String text) {
      int colon = text.indexOf(':');
      return new Name(
          Long.parseLong(text.substring(0, colon)), UUID.fromString(text.substring(colon + 1)));
    }
  }

  /**
   * One by one, each by its primary key: with a list of them a planner may scan the table, and then
   * waits for rows of transactions that are open.
   */
  private void delete(List<Name> names) throws SQLException {
    if (names.isEmpty()) {
      return;
    }
    connection.setAutoCommit(false);
    try (PreparedStatement delete =
        connection.prepareStatement("DELETE FROM lockstep_outbox WHERE seq = ? AND id = ?")) {
      for (Name name : names) {
        delete.setLong(1, name.seq());
        dialect.setId(delete, 2, name.id());
        delete.addBatch();
      }
      delete.executeBatch();
      connection.commit();
    } catch (SQLException e) {
      connection.rollback();
      throw e;
    } finally {
      connection.setAutoCommit(true);
    }
  }
}
