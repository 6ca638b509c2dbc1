package dev.lockstep.outbox.internal.inbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.outbox.OutboxTransaction;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;

/** Table {@code lockstep_inbox_parked}. */
final class ParkedMessages {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final TypeReference<List<List<@Nullable String>>> PAIRS = new TypeReference<>() {};
  private static final int LONGEST_REASON = 2_000;

  private final String consumer;

  ParkedMessages(String consumer) {
    this.consumer = consumer;
  }

  void put(OutboxTransaction tx, ConsumerRecord<byte[], byte[]> record, String reason)
      throws SQLException {
    try (PreparedStatement insert =
        tx.connection()
            .prepareStatement(
                "INSERT INTO lockstep_inbox_parked (consumer, topic, part, record_offset, msg_key,"
                    + " payload, headers, reason, record_time, time_type)"
                    + " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")) {
      insert.setString(1, consumer);
      insert.setString(2, record.topic());
      insert.setInt(3, record.partition());
      insert.setLong(4, record.offset());
      insert.setBytes(5, record.key());
      insert.setBytes(6, record.value());
      insert.setString(7, headers(record));
      insert.setString(8, shortened(reason));
      insert.setLong(9, record.timestamp());
      insert.setString(10, record.timestampType().toString());
      insert.executeUpdate();
    }
  }

  /** Returns the partitions of messages that are to be handled again. */
  Set<TopicPartition> released(Connection connection) throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT DISTINCT topic, part FROM lockstep_inbox_parked"
                + " WHERE consumer = ? AND released")) {
      select.setString(1, consumer);
      Set<TopicPartition> partitions = new HashSet<>();
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          partitions.add(new TopicPartition(row.getString(1), row.getInt(2)));
        }
      }
      return partitions;
    }
  }

  /** Returns the rows of those of one partition, the oldest first. */
  List<Long> released(Connection connection, TopicPartition partition, int most)
      throws SQLException {
    try (PreparedStatement select =
        connection.prepareStatement(
            "SELECT n FROM lockstep_inbox_parked WHERE consumer = ? AND released"
                + " AND topic = ? AND part = ? ORDER BY n LIMIT ?")) {
      select.setString(1, consumer);
      select.setString(2, partition.topic());
      select.setInt(3, partition.partition());
      select.setInt(4, most);
      List<Long> rows = new ArrayList<>();
      try (ResultSet row = select.executeQuery()) {
        while (row.next()) {
          rows.add(row.getLong(1));
        }
      }
      return rows;
    }
  }

  /** Deletes a row that is released, and returns its message as it came; null: there is none. */
  @Nullable ConsumerRecord<byte[], byte[]> take(Connection connection, long n) throws SQLException {
    try (PreparedStatement select =
            connection.prepareStatement(
                "SELECT topic, part, record_offset, msg_key, payload, headers, record_time,"
                    + " time_type FROM lockstep_inbox_parked WHERE n = ? AND released FOR UPDATE");
        PreparedStatement delete =
            connection.prepareStatement("DELETE FROM lockstep_inbox_parked WHERE n = ?")) {
      select.setLong(1, n);
      delete.setLong(1, n);
      try (ResultSet row = select.executeQuery()) {
        if (!row.next()) {
          return null;
        }
        byte[] key = row.getBytes(4);
        byte[] payload = row.getBytes(5);
        var record =
            new ConsumerRecord<>(
                row.getString(1),
                row.getInt(2),
                row.getLong(3),
                row.getLong(7),
                TimestampType.forName(row.getString(8)),
                key == null ? ConsumerRecord.NULL_SIZE : key.length,
                payload == null ? ConsumerRecord.NULL_SIZE : payload.length,
                key,
                payload,
                headers(row.getString(6)),
                Optional.empty());
        delete.executeUpdate();
        return record;
      }
    }
  }

  /** A message that was released stays. */
  void refuse(Connection connection, long n, String reason) throws SQLException {
    try (PreparedStatement update =
        connection.prepareStatement(
            "UPDATE lockstep_inbox_parked SET released = false, reason = ?"
                + " WHERE n = ? AND released")) {
      update.setString(1, shortened(reason));
      update.setLong(2, n);
      update.executeUpdate();
    }
  }

  /** PostgreSQL takes no NUL, and what a handler says may hold the payload. */
  private static String shortened(String reason) {
    String text = reason.replace('\0', ' ');
    return text.substring(0, Math.min(LONGEST_REASON, text.length()));
  }

  private static String headers(ConsumerRecord<byte[], byte[]> record) {
    List<List<@Nullable String>> all = new ArrayList<>();
    for (Header header : record.headers()) {
      byte[] value = header.value();
      all.add(
          Arrays.asList(
              header.key(), value == null ? null : Base64.getEncoder().encodeToString(value)));
    }
    try {
      return JSON.writeValueAsString(all);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("Text that cannot be written as JSON", e);
    }
  }

  private static Headers headers(String json) throws SQLException {
    RecordHeaders headers = new RecordHeaders();
    try {
      for (List<@Nullable String> header : JSON.readValue(json, PAIRS)) {
        String value = header.get(1);
        headers.add(header.get(0), value == null ? null : Base64.getDecoder().decode(value));
      }
    } catch (JsonProcessingException | RuntimeException e) {
      throw new SQLException("Headers of a parked message are not as they were written", e);
    }
    return headers;
  }
}
