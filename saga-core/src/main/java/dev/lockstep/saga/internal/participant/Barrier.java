package dev.lockstep.saga.internal.participant;

import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.StepCommand;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.jspecify.annotations.Nullable;

/**
 * The rows that make each effect happen at most once: key (saga, step, direction), no attempt in it
 * (execution K4 of the kernel review: with the attempt in the key a slow first and a second attempt
 * both charge).
 *
 * <p>Source: sub-transaction barrier of dtm; "null compensation" and "hanging" as Seata names them.
 */
final class Barrier {

  static final String SUCCESS = "SUCCESS";
  static final String FAILURE = "FAILURE";
  static final String CANCELLED = "CANCELLED";
  static final String REFUSED = "REFUSED";

  /** What a row says. */
  @SuppressWarnings("ArrayRecordComponent") // never compared
  record Entry(String outcome, long contentHash, String reason, byte[] payload) {}

  private static final String INSERT =
      "INSERT INTO lockstep_barrier (saga_id, step, direction, outcome, content_hash)"
          + " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

  private final Connection connection;

  Barrier(Connection connection) {
    this.connection = connection;
  }

  /**
   * Claims a direction; false when a row is there already. Waits for another transaction's claim.
   */
  boolean claim(StepCommand command, Direction direction, String outcome) throws SQLException {
    try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
      insert.setString(1, command.getSagaId());
      insert.setString(2, command.getStep());
      insert.setString(3, letter(direction));
      insert.setString(4, outcome);
      insert.setLong(5, command.getContentHash());
      return insert.executeUpdate() == 1;
    }
  }

  void finish(
      StepCommand command, Direction direction, String outcome, String reason, byte[] payload)
      throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_barrier SET outcome = ?, reason = ?, payload = ?"
                + " WHERE saga_id = ? AND step = ? AND direction = ?")) {
      update.setString(1, outcome);
      update.setString(2, reason);
      update.setBytes(3, payload);
      update.setString(4, command.getSagaId());
      update.setString(5, command.getStep());
      update.setString(6, letter(direction));
      update.executeUpdate();
    }
  }

  @Nullable Entry find(StepCommand command, Direction direction) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT outcome, content_hash, reason, payload FROM lockstep_barrier"
                + " WHERE saga_id = ? AND step = ? AND direction = ?")) {
      select.setString(1, command.getSagaId());
      select.setString(2, command.getStep());
      select.setString(3, letter(direction));
      try (ResultSet row = select.executeQuery()) {
        return row.next()
            ? new Entry(row.getString(1), row.getLong(2), row.getString(3), row.getBytes(4))
            : null;
      }
    }
  }

  private static String letter(Direction direction) {
    return direction == Direction.COMPENSATION ? "C" : "A";
  }
}
