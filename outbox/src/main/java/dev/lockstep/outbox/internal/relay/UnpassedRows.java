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
 * Which rows are published when the shard goes on from a position, and which ones come. Asked about
 * a transaction that hangs; reads all rows of the shard where no index helps. Stateless.
 */
final class UnpassedRows {

  /** {@link RelayPosition#hasPassed}, where a ledger has too many rows to be asked one by one. */
  private static final String PASSED =
      "(seq <= ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot)"
          + " OR seq <= ? AND pg_visible_in_snapshot(xid, ?::pg_snapshot))";

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

  /**
   * Returns the rows that lie between two positions: what the transaction of the second one
   * published, if nobody published in between. A position names the rows of its last page only, and
   * these may be the very ones that hang.
   *
   * @return empty: the second position is of no rows
   */
  static Set<UUID> between(
      Connection connection, int shard, RelayPosition earlier, RelayPosition later)
      throws SQLException {
    Set<UUID> rows = named(later);
    rows.removeAll(named(earlier));
    if (rows.isEmpty() || !Dialect.of(connection).hasSnapshots()) {
      return rows;
    }
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT id FROM lockstep_outbox WHERE shard = ? AND "
                + PASSED
                + " AND NOT "
                + PASSED)) {
      select.setInt(1, shard);
      setPassed(select, 2, later);
      setPassed(select, 6, earlier);
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          rows.add(Dialect.POSTGRESQL.id(row, 1));
        }
      }
    }
    return rows;
  }

  private static void setPassed(PreparedStatement select, int first, RelayPosition position)
      throws SQLException {
    boolean hasWindow = !position.window().isEmpty();
    select.setLong(first, position.maxSeq());
    select.setString(first + 1, position.prev());
    select.setLong(first + 2, hasWindow ? position.lastSeq() : 0);
    select.setString(first + 3, hasWindow ? position.window() : RelayPosition.START.prev());
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
