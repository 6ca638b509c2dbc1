package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.OutboxMessage;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Inserts messages as rows: one statement for all that leave at once, one for all that leave later.
 */
final class MessageRows {

  private static final String VALUES =
      " FROM unnest(?::smallint[], ?::uuid[], ?::text[], ?::integer[], ?::bytea[], ?::bytea[], ?::text[]";

  /**
   * A relay may publish a row as soon as it sees it: with {@code synchronous_commit} off a crash of
   * the database would take back what is published already (outbox-review, 3).
   */
  private static final String DURABLE =
      " CROSS JOIN (SELECT CASE WHEN current_setting('synchronous_commit') = 'off'"
          + " THEN set_config('synchronous_commit', 'on', true) END) AS durable";

  private static final String LEDGER =
      "INSERT INTO lockstep_outbox (lane, id, topic, part, msg_key, payload, headers)"
          + " SELECT lane, id, topic, part, msg_key, payload, headers::text[]"
          + VALUES
          + ") AS m (lane, id, topic, part, msg_key, payload, headers)"
          + DURABLE;

  private static final String SCHEDULED =
      "INSERT INTO lockstep_outbox_scheduled"
          + " (not_before, lane, id, topic, part, msg_key, payload, headers)"
          + " SELECT not_before, lane, id, topic, part, msg_key, payload, headers::text[]"
          + VALUES
          + ", ?::timestamptz[]) AS m (lane, id, topic, part, msg_key, payload, headers, not_before)"
          + DURABLE;

  private final Connection connection;
  private final ToIntFunction<String> lanes;

  /**
   * @param lanes code of the lane of a topic
   */
  MessageRows(Connection connection, ToIntFunction<String> lanes) {
    this.connection = connection;
    this.lanes = lanes;
  }

  void insert(List<OutboxMessage> messages) throws SQLException {
    List<OutboxMessage> now = messages.stream().filter(m -> m.notBefore() == null).toList();
    List<OutboxMessage> later = messages.stream().filter(m -> m.notBefore() != null).toList();
    if (!now.isEmpty()) {
      try (PreparedStatement insert = connection.prepareStatement(LEDGER)) {
        set(insert, now);
        insert.executeUpdate();
      }
    }
    if (!later.isEmpty()) {
      try (PreparedStatement insert = connection.prepareStatement(SCHEDULED)) {
        set(insert, later);
        insert.setArray(
            8,
            connection.createArrayOf(
                "timestamptz", later.stream().map(m -> timestamp(m.notBefore())).toArray()));
        insert.executeUpdate();
      }
    }
  }

  private void set(PreparedStatement insert, List<OutboxMessage> messages) throws SQLException {
    int n = messages.size();
    Short[] lane = new Short[n];
    UUID[] id = new UUID[n];
    String[] topic = new String[n];
    Integer[] part = new Integer[n];
    byte[][] key = new byte[n][];
    byte[][] payload = new byte[n][];
    String[] headers = new String[n];
    for (int i = 0; i < n; i++) {
      OutboxMessage message = messages.get(i);
      lane[i] = (short) lanes.applyAsInt(message.topic());
      id[i] = message.id();
      topic[i] = message.topic();
      part[i] = message.partition();
      key[i] = message.key();
      payload[i] = message.payload();
      // an array of ragged arrays is not unnested row by row: each goes as its own literal
      headers[i] = connection.createArrayOf("text", headers(message)).toString();
    }
    insert.setArray(1, connection.createArrayOf("int2", lane));
    insert.setArray(2, connection.createArrayOf("uuid", id));
    insert.setArray(3, connection.createArrayOf("text", topic));
    insert.setArray(4, connection.createArrayOf("int4", part));
    insert.setArray(5, connection.createArrayOf("bytea", key));
    insert.setArray(6, connection.createArrayOf("bytea", payload));
    insert.setArray(7, connection.createArrayOf("text", headers));
  }

  private static Object[] headers(OutboxMessage message) {
    List<String> flat = new ArrayList<>();
    for (Map.Entry<String, String> header : message.headers().entrySet()) {
      flat.add(header.getKey());
      flat.add(header.getValue());
    }
    return flat.toArray();
  }

  private static @Nullable Timestamp timestamp(@Nullable Instant time) {
    return time == null ? null : Timestamp.from(time);
  }
}
