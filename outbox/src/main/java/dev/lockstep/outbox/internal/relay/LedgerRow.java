package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One row to publish.
 *
 * @param fault why it can never be published as it is: null when it can
 */
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
    long bytes,
    @Nullable String fault) {

  /** Reads {@link Dialect#columns}. */
  static LedgerRow read(ResultSet result, int lane, Dialect dialect) throws SQLException {
    Dialect.Headers headers = dialect.headers(result);
    int partition = result.getInt("part");
    boolean anyPartition = result.wasNull();
    return new LedgerRow(
        result.getLong("seq"),
        dialect.id(result),
        lane,
        result.getString("topic"),
        anyPartition ? null : partition,
        result.getBytes("msg_key"),
        result.getBytes("payload"),
        headers.namesAndValues(),
        dialect.createdAt(result),
        result.getLong("bytes"),
        headers.fault());
  }
}
