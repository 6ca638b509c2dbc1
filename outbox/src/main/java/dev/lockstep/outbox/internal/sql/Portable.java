package dev.lockstep.outbox.internal.sql;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.outbox.OutboxException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * Databases without snapshots. Times are numbers, ms since the epoch: their types differ in what a
 * time zone does to them. Headers are a JSON object.
 */
enum Portable implements Dialect {
  /** MariaDB 10.6 or newer, and MySQL 8.0.16 or newer by what its manual says. */
  MARIADB(
      "mariadb",
      "database()",
      "(timestampdiff(MICROSECOND, '1970-01-01', utc_timestamp(3)) DIV 1000)") {
    @Override
    public void setId(PreparedStatement statement, int index, UUID id) throws SQLException {
      // MySQL has no type for it
      statement.setString(index, id.toString());
    }

    @Override
    List<String> changeShards(int shards) {
      return List.of(
          "ALTER TABLE lockstep_outbox MODIFY shard smallint AS (lane * %1$d + mod(hash, %1$d)) STORED"
              .formatted(shards));
    }
  },

  /** H2 2.2 or newer. */
  H2(
      "h2",
      "current_schema",
      "datediff(MILLISECOND, TIMESTAMP WITH TIME ZONE '1970-01-01 00:00:00+00', current_timestamp)") {
    @Override
    public void setId(PreparedStatement statement, int index, UUID id) throws SQLException {
      statement.setObject(index, id);
    }

    @Override
    List<String> changeShards(int shards) {
      return List.of(
          "DROP INDEX lockstep_outbox_next",
          "ALTER TABLE lockstep_outbox DROP COLUMN shard",
          "ALTER TABLE lockstep_outbox ADD COLUMN shard smallint GENERATED ALWAYS AS (lane * %1$d"
                  .formatted(shards)
              + " + CASE WHEN msg_key IS NOT NULL THEN ora_hash(msg_key, %1$d) WHEN part IS NOT NULL"
                  .formatted(shards - 1)
              + " THEN ora_hash(topic || '/' || part, %1$d) ELSE ora_hash(id, %1$d) END)"
                  .formatted(shards - 1),
          "CREATE INDEX lockstep_outbox_next ON lockstep_outbox (shard, seq)");
    }
  };

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<Map<String, String>> TEXTS = new TypeReference<>() {};

  private final String folder;
  private final String schema;
  private final String now;

  Portable(String folder, String schema, String now) {
    this.folder = folder;
    this.schema = schema;
    this.now = now;
  }

  abstract List<String> changeShards(int shards);

  @Override
  public String folder() {
    return folder;
  }

  @Override
  public boolean hasSnapshots() {
    return false;
  }

  @Override
  public String countMeta() {
    return "SELECT count(*) FROM information_schema.tables"
        + " WHERE lower(table_name) = 'lockstep_outbox_meta' AND table_schema = "
        + schema;
  }

  @Override
  public String columns() {
    return " seq, id, topic, part, msg_key, payload, headers, created_at,"
        + " coalesce(octet_length(msg_key), 0) + coalesce(octet_length(payload), 0)"
        + " + octet_length(headers) + 200 AS bytes ";
  }

  @Override
  public UUID id(ResultSet row, int column) throws SQLException {
    return UUID.fromString(row.getString(column));
  }

  @Override
  public Headers headers(ResultSet row, int column) throws SQLException {
    String json = row.getString(column);
    try {
      List<String> flat = new ArrayList<>();
      for (Map.Entry<String, @Nullable String> header : JSON.readValue(json, TEXTS).entrySet()) {
        if (header.getValue() == null) {
          return new Headers(List.of(), "header '" + header.getKey() + "' is null, must be text");
        }
        flat.add(header.getKey());
        flat.add(header.getValue());
      }
      return new Headers(flat, null);
    } catch (JsonProcessingException e) {
      // written by hand, past the library
      return new Headers(
          List.of(), "headers must be a JSON object of texts: " + e.getOriginalMessage());
    }
  }

  @Override
  public long createdAt(ResultSet row, int column) throws SQLException {
    return row.getLong(column);
  }

  @Override
  public void setTime(PreparedStatement statement, int index, Instant time) throws SQLException {
    statement.setLong(index, time.toEpochMilli());
  }

  @Override
  public String now() {
    return now;
  }

  @Override
  public String millis(String column) {
    return column;
  }

  @Override
  public boolean insertOnce(Connection connection, String insert, Parameters parameters)
      throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement(insert)) {
      parameters.set(statement);
      statement.executeUpdate();
      return true;
    } catch (SQLException e) {
      // here a duplicate key undoes its statement only
      if (isDuplicate(e)) {
        return false;
      }
      throw e;
    }
  }

  @Override
  public void limitLockWaits(Connection connection) {
    // only a whole session could be told; the server's own limit holds
  }

  /** 1062 is MySQL's number for a duplicate key, 23505 the state of H2's. */
  private static boolean isDuplicate(SQLException e) {
    return e.getErrorCode() == 1062 || "23505".equals(e.getSQLState());
  }

  @Override
  public void configure(Connection connection, int shards, int segments, int seconds)
      throws SQLException {
    if (shards < 1 || shards > 64) {
      throw new OutboxException("shards must be 1 to 64, is " + shards);
    }
    try (Statement statement = connection.createStatement()) {
      for (String table :
          List.of("lockstep_outbox", "lockstep_outbox_parked", "lockstep_outbox_blocked")) {
        try (ResultSet row = statement.executeQuery("SELECT 1 FROM " + table + " LIMIT 1")) {
          if (row.next()) {
            throw new OutboxException(
                "Shards cannot be changed: %s has rows: let a relay publish them, unblock or discard them first"
                    .formatted(table));
          }
        }
      }
      for (String change : changeShards(shards)) {
        statement.execute(change);
      }
      statement.executeUpdate("UPDATE lockstep_outbox_meta SET shards = " + shards);
    }
  }
}
