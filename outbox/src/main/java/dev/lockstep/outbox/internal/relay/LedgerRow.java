package dev.lockstep.outbox.internal.relay;

import java.sql.Array;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/** One row to publish. */
@SuppressWarnings("ArrayRecordComponent") // never compared
record LedgerRow(
    long seq,
    UUID id,
    int lane,
    String topic,
    @Nullable Integer partition,
    byte @Nullable [] key,
    byte @Nullable [] payload,
    List<String> headers,
    long createdAt,
    long bytes) {

  /** The columns that {@link #read} needs, but for the lane. */
  static final String COLUMNS =
      " seq, id, topic, part, msg_key, payload, headers, created_at,"
          + " coalesce(octet_length(msg_key), 0) + coalesce(octet_length(payload), 0)"
          + " + pg_column_size(headers) + 200 AS bytes ";

  static LedgerRow read(ResultSet result, int lane) throws SQLException {
    Array headers = result.getArray("headers");
    int partition = result.getInt("part");
    boolean anyPartition = result.wasNull();
    return new LedgerRow(
        result.getLong("seq"),
        result.getObject("id", UUID.class),
        lane,
        result.getString("topic"),
        anyPartition ? null : partition,
        result.getBytes("msg_key"),
        result.getBytes("payload"),
        List.of((String[]) headers.getArray()),
        result.getTimestamp("created_at").getTime(),
        result.getLong("bytes"));
  }
}
