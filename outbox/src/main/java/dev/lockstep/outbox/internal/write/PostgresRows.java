package dev.lockstep.outbox.internal.write;

import dev.lockstep.outbox.KeyOrder;
import dev.lockstep.outbox.OutboxMessage;
import java.sql.Array;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Timestamp;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.ToIntFunction;
import org.jspecify.annotations.Nullable;

/**
 * Inserts messages as rows: one statement for all that leave at once, one for all that leave later.
 */
final class PostgresRows implements MessageRows {

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

  /**
   * A statement of its own in the same round trip: the INSERT behind it draws its numbers when all
   * keys are held. In one order, so that writers do not lock each other out.
   */
  private static final String HOLD_KEYS =
      "SELECT count(pg_advisory_xact_lock(h)) FROM (SELECT DISTINCT"
          + " hashtextextended(topic || '/' || encode(msg_key, 'hex'), 0) AS h"
          + " FROM unnest(?::text[], ?::bytea[]) AS k (topic, msg_key)"
          + " WHERE msg_key IS NOT NULL ORDER BY h) keys;";

  private final Connection connection;
  private final KeyOrder order;
  private final ToIntFunction<String> lanes;

  /**
   * @param lanes code of the lane of a topic
   */
  PostgresRows(Connection connection, KeyOrder order, ToIntFunction<String> lanes) {
    this.connection = connection;
    this.order = order;
    this.lanes = lanes;
  }

  @Override
  public void insert(List<OutboxMessage> messages) throws SQLException {
    List<OutboxMessage> now = messages.stream().filter(m -> m.notBefore() == null).toList();
    List<OutboxMessage> later = messages.stream().filter(m -> m.notBefore() != null).toList();
    if (!now.isEmpty()) {
      boolean holds = order == KeyOrder.ADVISORY_LOCK;
      try (PreparedStatement insert =
          connection.prepareStatement(holds ? HOLD_KEYS + LEDGER : LEDGER)) {
        int first = 1;
        if (holds) {
          insert.setArray(first++, array("text", now, OutboxMessage::topic));
          insert.setArray(first++, array("bytea", now, OutboxMessage::key));
        }
        set(insert, first, now);
        insert.execute();
      }
    }
    if (!later.isEmpty()) {
      try (PreparedStatement insert = connection.prepareStatement(SCHEDULED)) {
        set(insert, 1, later);
        insert.setArray(8, array("timestamptz", later, m -> timestamp(m.notBefore())));
        insert.executeUpdate();
      }
    }
  }

  private void set(PreparedStatement insert, int first, List<OutboxMessage> messages)
      throws SQLException {
    List<String> headers = new ArrayList<>(messages.size());
    for (OutboxMessage message : messages) {
      // an array of ragged arrays is not unnested row by row: each goes as its own literal
      headers.add(connection.createArrayOf("text", headers(message)).toString());
    }
    insert.setArray(first, array("int2", messages, m -> (short) lanes.applyAsInt(m.topic())));
    insert.setArray(first + 1, array("uuid", messages, OutboxMessage::id));
    insert.setArray(first + 2, array("text", messages, OutboxMessage::topic));
    insert.setArray(first + 3, array("int4", messages, OutboxMessage::partition));
    insert.setArray(first + 4, array("bytea", messages, OutboxMessage::key));
    insert.setArray(first + 5, array("bytea", messages, OutboxMessage::payload));
    insert.setArray(first + 6, connection.createArrayOf("text", headers.toArray()));
  }

  private Array array(
      String type,
      List<OutboxMessage> messages,
      Function<OutboxMessage, ? extends @Nullable Object> column)
      throws SQLException {
    Object[] values =
        type.equals("bytea") ? new byte[messages.size()][] : new Object[messages.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = column.apply(messages.get(i));
    }
    return connection.createArrayOf(type, values);
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
