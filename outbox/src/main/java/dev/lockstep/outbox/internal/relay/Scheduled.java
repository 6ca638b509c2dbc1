package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import javax.sql.DataSource;

/** Moves messages whose time has come from {@code lockstep_outbox_scheduled} into the ledger. */
final class Scheduled {

  private static final int AT_ONCE = 1_000;

  private static final String COLUMNS = "lane, id, topic, part, msg_key, payload, headers";

  /**
   * The lock on the outbox's line keeps a reconcile out until the rows are moved, and this out
   * while one is under way: it takes back messages that were published. Without rows that are due
   * nothing is locked.
   */
  private static final String MOVE =
      "WITH durable AS (SELECT set_config('synchronous_commit', 'on', true)),"
          + " allowed AS MATERIALIZED (SELECT FROM lockstep_outbox_meta"
          + " WHERE positions_topic_id IS DISTINCT FROM '"
          + LedgerIdentity.RECONCILING
          + "' AND EXISTS (SELECT FROM lockstep_outbox_scheduled WHERE not_before <= now())"
          + " FOR SHARE),"
          + " due AS (DELETE FROM lockstep_outbox_scheduled WHERE (not_before, id) IN"
          + " (SELECT not_before, id FROM lockstep_outbox_scheduled WHERE not_before <= now()"
          + " AND EXISTS (SELECT FROM allowed) ORDER BY not_before, id LIMIT "
          + AT_ONCE
          + " FOR UPDATE SKIP LOCKED) RETURNING *)"
          + " INSERT INTO lockstep_outbox ("
          + COLUMNS
          + ") SELECT "
          + COLUMNS
          + " FROM due, durable ORDER BY not_before, id";

  private record Due(long notBefore, UUID id) {}

  private final DataSource dataSource;
  private final Dialect dialect;

  Scheduled(DataSource dataSource, Dialect dialect) {
    this.dataSource = dataSource;
    this.dialect = dialect;
  }

  /** Returns how many were moved. */
  int moveDue() throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      if (dialect.hasSnapshots()) {
        try (Statement statement = connection.createStatement()) {
          return statement.executeUpdate(MOVE);
        }
      }
      connection.setAutoCommit(false);
      try {
        int moved = move(connection);
        connection.commit();
        return moved;
      } catch (SQLException e) {
        connection.rollback();
        throw e;
      } finally {
        connection.setAutoCommit(true);
      }
    }
  }

  private int move(Connection connection) throws SQLException {
    List<Due> due = new ArrayList<>();
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT not_before, id FROM lockstep_outbox_scheduled WHERE not_before <= "
                + dialect.now()
                + " ORDER BY not_before, id LIMIT ? FOR UPDATE SKIP LOCKED")) {
      select.setInt(1, AT_ONCE);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          due.add(new Due(row.getLong(1), dialect.id(row, 2)));
        }
      }
    }
    if (due.isEmpty()) {
      return 0;
    }
    String which = " FROM lockstep_outbox_scheduled WHERE not_before = ? AND id = ?";
    try (PreparedStatement insert =
            connection.prepareStatement(
                "INSERT INTO lockstep_outbox (" + COLUMNS + ") SELECT " + COLUMNS + which);
        PreparedStatement delete = connection.prepareStatement("DELETE" + which)) {
      for (Due one : due) {
        for (PreparedStatement statement : List.of(insert, delete)) {
          statement.setLong(1, one.notBefore());
          dialect.setId(statement, 2, one.id());
          // one by one: MariaDB's driver cannot batch an INSERT with a SELECT
          statement.executeUpdate();
        }
      }
    }
    return due.size();
  }
}
