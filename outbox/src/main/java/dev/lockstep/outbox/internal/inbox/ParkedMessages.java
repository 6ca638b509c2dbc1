package dev.lockstep.outbox.internal.inbox;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.outbox.OutboxTransaction;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/** Table {@code lockstep_inbox_parked}. */
final class ParkedMessages {

  private static final ObjectMapper JSON = new ObjectMapper();
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
                    + " payload, headers, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?)")) {
      insert.setString(1, consumer);
      insert.setString(2, record.topic());
      insert.setInt(3, record.partition());
      insert.setLong(4, record.offset());
      insert.setBytes(5, record.key());
      insert.setBytes(6, record.value());
      insert.setString(7, headers(record));
      // PostgreSQL takes no NUL, and what a handler says may hold the payload
      String text = reason.replace('\0', ' ');
      insert.setString(8, text.substring(0, Math.min(LONGEST_REASON, text.length())));
      insert.executeUpdate();
    }
  }

  private static String headers(ConsumerRecord<byte[], byte[]> record) {
    List<List<String>> all = new ArrayList<>();
    for (Header header : record.headers()) {
      byte[] value = header.value();
      all.add(
          List.of(header.key(), value == null ? "" : Base64.getEncoder().encodeToString(value)));
    }
    try {
      return JSON.writeValueAsString(all);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("Text that cannot be written as JSON", e);
    }
  }
}
