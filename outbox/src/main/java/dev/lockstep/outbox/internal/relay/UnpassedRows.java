package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.VisibleLedger.Name;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Collection;
import java.util.HashSet;
import java.util.Set;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * Rows that are published when the shard goes on from a position. Asked about the few rows of a
 * transaction that hangs; reads all rows of the shard where no index helps. Stateless.
 */
final class UnpassedRows {

  private UnpassedRows() {}

  /** Returns those of some rows that come, again or for the first time. */
  static Set<UUID> of(Connection connection, int shard, RelayPosition position, Set<UUID> rows)
      throws SQLException {
    Set<UUID> unpassed = present(connection, shard, rows);
    unpassed.removeAll(names(position.undeleted()));
    if (Dialect.of(connection).hasSnapshots()) {
      unpassed.addAll(behind(connection, shard, position, rows));
    }
    return unpassed;
  }

  /**
   * Tells whether rows that a position says are to be deleted are: then it was known to be
   * committed.
   */
  static boolean areDeleted(Connection connection, int shard, RelayPosition position)
      throws SQLException {
    Set<UUID> names = names(position.undeleted());
    return !names.isEmpty() && present(connection, shard, names).isEmpty();
  }

  /** Those that a position names. */
  static Set<UUID> named(RelayPosition position) {
    Set<UUID> named = names(position.undeleted());
    position.newest().forEach(id -> named.add(UUID.fromString(id)));
    return named;
  }

  private static Set<UUID> names(Collection<String> texts) {
    return texts.stream()
        .map(text -> Name.parse(text).id())
        .collect(Collectors.toCollection(HashSet::new));
  }

  /** Rows whose being there says that they are not published. */
  private static Set<UUID> present(Connection connection, int shard, Set<UUID> rows)
      throws SQLException {
    Dialect dialect = Dialect.of(connection);
    Set<UUID> present = new HashSet<>();
    String aside = "SELECT id FROM lockstep_outbox_parked WHERE shard = ?";
    try (PreparedStatement select =
        connection.prepareStatement(
            dialect.hasSnapshots()
                ? aside
                : aside + " UNION ALL SELECT id FROM lockstep_outbox WHERE shard = ?")) {
      select.setInt(1, shard);
      if (!dialect.hasSnapshots()) {
        select.setInt(2, shard);
      }
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          UUID id = dialect.id(row, 1);
          if (rows.contains(id)) {
            present.add(id);
          }
        }
      }
    }
    return present;
  }

  /** Rows of the ledger; one that is not there was truncated behind a position. */
  private static Set<UUID> behind(
      Connection connection, int shard, RelayPosition position, Set<UUID> rows)
      throws SQLException {
    Set<UUID> behind = new HashSet<>();
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id, seq, xid::text::bigint AS xid FROM lockstep_outbox"
                + " WHERE shard = ? AND id = ANY(?)")) {
      select.setInt(1, shard);
      select.setArray(2, connection.createArrayOf("uuid", rows.toArray()));
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          if (!position.hasPassed(row.getLong("xid"), row.getLong("seq"))) {
            behind.add(Dialect.POSTGRESQL.id(row, 1));
          }
        }
      }
    }
    return behind;
  }
}
