package dev.lockstep.outbox.internal.sql;

import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.List;
import java.util.UUID;

/** PostgreSQL 13 or newer. */
enum PostgreSql implements Dialect {
  INSTANCE;

  @Override
  public String folder() {
    return "postgresql";
  }

  @Override
  public boolean hasSnapshots() {
    return true;
  }

  @Override
  public String countMeta() {
    return "SELECT count(to_regclass('lockstep_outbox_meta'))";
  }

  @Override
  public String columns() {
    // most rows have none, and to read an array costs more than the rest of them
    return " seq, id, topic, part, msg_key, payload, CASE WHEN cardinality(headers) > 0 THEN headers END AS headers, created_at,"
        + " coalesce(octet_length(msg_key), 0) + coalesce(octet_length(payload), 0)"
        + " + pg_column_size(headers) + 200 AS bytes ";
  }

  @Override
  public void setId(PreparedStatement statement, int index, UUID id) throws SQLException {
    statement.setObject(index, id);
  }

  @Override
  public UUID id(ResultSet row, int column) throws SQLException {
    return row.getObject(column, UUID.class);
  }

  @Override
  public Headers headers(ResultSet row, int column) throws SQLException {
    Array headers = row.getArray(column);
    return headers == null
        ? Headers.NONE
        : new Headers(List.of((String[]) headers.getArray()), null);
  }

  @Override
  public long createdAt(ResultSet row, int column) throws SQLException {
    return row.getTimestamp(column).getTime();
  }

  @Override
  public void setTime(PreparedStatement statement, int index, Instant time) throws SQLException {
    statement.setTimestamp(index, Timestamp.from(time));
  }

  @Override
  public String now() {
    return "(extract(epoch FROM now()) * 1000)::bigint";
  }

  @Override
  public String millis(String column) {
    return "(extract(epoch FROM " + column + ") * 1000)::bigint";
  }

  @Override
  public boolean insertOnce(Connection connection, String insert, Parameters parameters)
      throws SQLException {
    // a duplicate key would end the transaction
    try (PreparedStatement statement =
        connection.prepareStatement(insert + " ON CONFLICT DO NOTHING")) {
      parameters.set(statement);
      return statement.executeUpdate() == 1;
    }
  }

  @Override
  public void limitLockWaits(Connection connection) throws SQLException {
    try (Statement statement = connection.createStatement()) {
      statement.execute("SET LOCAL lock_timeout = '10s'");
    }
  }

  @Override
  public void configure(Connection connection, int shards, int segments, int seconds)
      throws SQLException {
    try (PreparedStatement call =
        connection.prepareStatement("SELECT lockstep_outbox_configure(?, ?, ?)")) {
      call.setInt(1, shards);
      call.setInt(2, segments);
      call.setInt(3, seconds);
      call.execute();
    }
  }
}
