package dev.lockstep.outbox.internal.relay;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Reads messages of PostgreSQL's {@code pgoutput}, version 1 with binary values: inserts into one
 * table and the ends of their transactions. Not thread-safe.
 *
 * <p>Layout: PostgreSQL documentation, "Logical Replication Message Formats".
 */
final class PgOutput {

  /** Told of what is read. */
  interface Reader {

    /**
     * A transaction begins.
     *
     * @param commitLsn of its commit
     */
    void begin(long commitLsn) throws SQLException;

    /** A row of it. */
    void inserted(long xid, LedgerRow row);

    /**
     * It is complete.
     *
     * @param endLsn behind its commit
     */
    void commit(long endLsn);
  }

  /** From the epoch of Unix to that of PostgreSQL, 2000-01-01. */
  private static final long EPOCH_MICROS = TimeUnit.DAYS.toMicros(10_957);

  /** What SQL counts for a row beside key, payload and headers: {@code Dialect.columns}. */
  private static final int OVERHEAD = 200;

  private static final String LEDGER = "lockstep_outbox";

  private final Reader reader;

  /** Columns of each relation, in their order. */
  private final Map<Integer, List<String>> relations = new HashMap<>();

  PgOutput(Reader reader) {
    this.reader = reader;
  }

  void read(ByteBuffer message) throws SQLException {
    byte kind = message.get();
    switch (kind) {
      case 'B' -> reader.begin(message.getLong());
      case 'C' -> {
        message.get();
        message.getLong();
        reader.commit(message.getLong());
      }
      case 'R' -> relation(message);
      case 'I' -> insert(message);
      default -> {
        // types and origins are nothing to this
      }
    }
  }

  private void relation(ByteBuffer message) {
    int id = message.getInt();
    String unused = text(message);
    boolean isLedger = text(message).equals(LEDGER);
    message.get();
    int count = message.getShort();
    List<String> columns = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      message.get();
      columns.add(text(message));
      message.getInt();
      message.getInt();
    }
    if (isLedger) {
      relations.put(id, columns);
    }
  }

  private void insert(ByteBuffer message) throws SQLException {
    List<String> columns = relations.get(message.getInt());
    if (columns == null) {
      // somebody added a table to the publication
      return;
    }
    message.get();
    int count = message.getShort();
    if (columns.size() != count) {
      throw new SQLException(
          "A row of the ledger came with %d columns, %d were described"
              .formatted(count, columns.size()));
    }
    Map<String, ByteBuffer> values = new HashMap<>();
    for (String column : columns) {
      byte kind = message.get();
      if (kind == 'n') {
        continue;
      }
      if (kind != 'b') {
        throw new SQLException("Column '%s' came as text".formatted(column));
      }
      int length = message.getInt();
      values.put(column, message.slice(message.position(), length));
      message.position(message.position() + length);
    }
    reader.inserted(value(values, "xid").getLong(), row(values));
  }

  private static LedgerRow row(Map<String, ByteBuffer> values) throws SQLException {
    ByteBuffer id = value(values, "id");
    ByteBuffer part = values.get("part");
    byte[] key = bytes(values.get("msg_key"));
    byte[] payload = bytes(values.get("payload"));
    ByteBuffer headers = value(values, "headers");
    long bytes = OVERHEAD + (long) headers.remaining();
    bytes += key == null ? 0 : key.length;
    bytes += payload == null ? 0 : payload.length;
    return new LedgerRow(
        value(values, "seq").getLong(),
        new UUID(id.getLong(), id.getLong()),
        value(values, "lane").getShort(),
        StandardCharsets.UTF_8.decode(value(values, "topic")).toString(),
        part == null ? null : part.getInt(),
        key,
        payload,
        texts(headers),
        TimeUnit.MICROSECONDS.toMillis(value(values, "created_at").getLong() + EPOCH_MICROS),
        bytes,
        null);
  }

  private static ByteBuffer value(Map<String, ByteBuffer> values, String column)
      throws SQLException {
    ByteBuffer value = values.get(column);
    if (value == null) {
      throw new SQLException("Column '%s' of the ledger is missing in the log".formatted(column));
    }
    return value;
  }

  private static byte @Nullable [] bytes(@Nullable ByteBuffer value) {
    if (value == null) {
      return null;
    }
    byte[] bytes = new byte[value.remaining()];
    value.get(bytes);
    return bytes;
  }

  /** An array of text with one dimension, or none when it is empty. */
  private static List<String> texts(ByteBuffer array) {
    int dimensions = array.getInt();
    array.getInt();
    array.getInt();
    if (dimensions == 0) {
      return List.of();
    }
    int size = array.getInt();
    array.getInt();
    List<String> texts = new ArrayList<>(size);
    for (int i = 0; i < size; i++) {
      byte[] text = new byte[array.getInt()];
      array.get(text);
      texts.add(new String(text, StandardCharsets.UTF_8));
    }
    return texts;
  }

  private static String text(ByteBuffer message) {
    int start = message.position();
    while (message.get() != 0) {
      // to its end
    }
    byte[] text = new byte[message.position() - start - 1];
    message.get(start, text);
    return new String(text, StandardCharsets.UTF_8);
  }
}
