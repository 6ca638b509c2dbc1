package dev.lockstep.outbox.internal.relay;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Keys of compacted topics, with the last row of each that was found there. An earlier one that was
 * not may have been compacted away; sent now, it would set its key back. About 100 bytes for each
 * key. Immutable.
 */
final class Superseded {

  private static final int FETCH = 5_000;

  private final Map<UUID, Long> lastFound = new HashMap<>();

  private Superseded() {}

  static Superseded of(Connection connection, LedgerScan ledger, Set<String> compacted)
      throws SQLException {
    Superseded superseded = new Superseded();
    if (compacted.isEmpty()) {
      return superseded;
    }
    connection.setAutoCommit(false);
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT seq, id, topic, msg_key FROM lockstep_outbox WHERE topic = ANY(?)"
                + " AND msg_key IS NOT NULL AND pg_visible_in_snapshot(xid, ?::pg_snapshot)")) {
      select.setFetchSize(FETCH);
      select.setArray(1, connection.createArrayOf("text", compacted.toArray()));
      select.setString(2, ledger.snapshot());
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          if ((ledger.ids().marks(row.getObject(2, UUID.class)) & RowIds.FOUND) != 0) {
            superseded.lastFound.merge(
                name(row.getString(3), row.getBytes(4)), row.getLong(1), Math::max);
          }
        }
      }
    } finally {
      connection.rollback();
      connection.setAutoCommit(true);
    }
    return superseded;
  }

  /** Tells whether a later row of the key was found. */
  boolean has(long seq, String topic, byte @Nullable [] key) {
    return !lastFound.isEmpty()
        && key != null
        && seq < lastFound.getOrDefault(name(topic, key), Long.MIN_VALUE);
  }

  /** Of keys only this much is held. */
  private static UUID name(String topic, byte[] key) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      digest.update(topic.getBytes(StandardCharsets.UTF_8));
      digest.update((byte) 0);
      ByteBuffer hash = ByteBuffer.wrap(digest.digest(key));
      return new UUID(hash.getLong(), hash.getLong());
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java has SHA-256", e);
    }
  }
}
