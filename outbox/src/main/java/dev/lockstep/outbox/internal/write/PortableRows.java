package dev.lockstep.outbox.internal.write;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.outbox.KeyOrder;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Types;
import java.time.Instant;
import java.util.List;
import java.util.TreeSet;
import java.util.function.ToIntFunction;
import java.util.zip.CRC32;

/** One INSERT with many rows of values; a thousand in a statement. */
final class PortableRows implements MessageRows {

  private static final int AT_ONCE = 1_000;
  private static final long MOST_BYTES = 4L << 20;

  /** Rows of {@code lockstep_outbox_key}. */
  private static final int BUCKETS = 256;

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Connection connection;
  private final Dialect dialect;
  private final KeyOrder order;
  private final ToIntFunction<String> lanes;

  PortableRows(
      Connection connection, Dialect dialect, KeyOrder order, ToIntFunction<String> lanes) {
    this.connection = connection;
    this.dialect = dialect;
    this.order = order;
    this.lanes = lanes;
  }

  @Override
  public void insert(List<OutboxMessage> messages) throws SQLException {
    if (order == KeyOrder.ADVISORY_LOCK) {
      hold(messages);
    }
    insert(messages.stream().filter(m -> m.notBefore() == null).toList(), "lockstep_outbox", "");
    insert(
        messages.stream().filter(m -> m.notBefore() != null).toList(),
        "lockstep_outbox_scheduled",
        ", not_before");
  }

  private void insert(List<OutboxMessage> messages, String table, String further)
      throws SQLException {
    String marks = further.isEmpty() ? "(?, ?, ?, ?, ?, ?, ?)" : "(?, ?, ?, ?, ?, ?, ?, ?)";
    int from = 0;
    while (from < messages.size()) {
      List<OutboxMessage> some = messages.subList(from, end(messages, from));
      from += some.size();
      try (PreparedStatement insert =
          connection.prepareStatement(
              "INSERT INTO %s (lane, id, topic, part, msg_key, payload, headers%s) VALUES %s"
                  .formatted(table, further, marks + (", " + marks).repeat(some.size() - 1)))) {
        int index = 1;
        for (OutboxMessage message : some) {
          index = set(insert, index, message);
        }
        insert.executeUpdate();
      }
    }
  }

  /** A statement ends at a thousand rows or 4 MiB: a server takes 16 by default. */
  private static int end(List<OutboxMessage> messages, int from) {
    long bytes = 0;
    int end = from;
    while (end < messages.size() && end - from < AT_ONCE && (end == from || bytes < MOST_BYTES)) {
      byte[] payload = messages.get(end).payload();
      bytes += 300 + (payload == null ? 0 : payload.length);
      end++;
    }
    return end;
  }

  private int set(PreparedStatement insert, int first, OutboxMessage message) throws SQLException {
    int index = first;
    insert.setInt(index++, lanes.applyAsInt(message.topic()));
    dialect.setId(insert, index++, message.id());
    insert.setString(index++, message.topic());
    insert.setObject(index++, message.partition(), Types.INTEGER);
    insert.setBytes(index++, message.key());
    insert.setBytes(index++, message.payload());
    insert.setString(index++, headers(message));
    Instant time = message.notBefore();
    if (time != null) {
      insert.setLong(index++, time.toEpochMilli());
    }
    return index;
  }

  private static String headers(OutboxMessage message) {
    try {
      return JSON.writeValueAsString(message.headers());
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("Text that cannot be written as JSON", e);
    }
  }

  /** In one order, so that writers do not lock each other out. */
  private void hold(List<OutboxMessage> messages) throws SQLException {
    TreeSet<Integer> buckets = new TreeSet<>();
    for (OutboxMessage message : messages) {
      byte[] key = message.key();
      if (key != null) {
        CRC32 hash = new CRC32();
        hash.update(message.topic().getBytes(StandardCharsets.UTF_8));
        hash.update(key);
        buckets.add((int) (hash.getValue() % BUCKETS));
      }
    }
    try (PreparedStatement lock =
        connection.prepareStatement(
            "SELECT bucket FROM lockstep_outbox_key WHERE bucket = ? FOR UPDATE")) {
      for (int bucket : buckets) {
        lock.setInt(1, bucket);
        lock.executeQuery().close();
      }
    }
  }
}
