package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;

/**
 * Reads rows of {@link Dialect#columns} from one result. A backlog comes through here: columns are
 * looked up once, and rows of a topic share its name.
 */
final class RowReader {

  private final ResultSet result;
  private final int lane;
  private final Dialect dialect;
  private final int seq;
  private final int id;
  private final int topic;
  private final int part;
  private final int key;
  private final int payload;
  private final int headers;
  private final int createdAt;
  private final int bytes;

  private String lastTopic = "";

  RowReader(ResultSet result, int lane, Dialect dialect) throws SQLException {
    this.result = result;
    this.lane = lane;
    this.dialect = dialect;
    this.seq = result.findColumn("seq");
    this.id = result.findColumn("id");
    this.topic = result.findColumn("topic");
    this.part = result.findColumn("part");
    this.key = result.findColumn("msg_key");
    this.payload = result.findColumn("payload");
    this.headers = result.findColumn("headers");
    this.createdAt = result.findColumn("created_at");
    this.bytes = result.findColumn("bytes");
  }

  /** Reads all rows of a result. */
  static List<LedgerRow> all(ResultSet result, int lane, Dialect dialect) throws SQLException {
    RowReader reader = new RowReader(result, lane, dialect);
    List<LedgerRow> rows = new ArrayList<>();
    while (result.next()) {
      rows.add(reader.read());
    }
    return rows;
  }

  /** Reads the row that the result stands at. */
  LedgerRow read() throws SQLException {
    Dialect.Headers own = dialect.headers(result, headers);
    int partition = result.getInt(part);
    boolean anyPartition = result.wasNull();
    return new LedgerRow(
        result.getLong(seq),
        dialect.id(result, id),
        lane,
        topic(),
        anyPartition ? null : partition,
        result.getBytes(key),
        result.getBytes(payload),
        own.namesAndValues(),
        dialect.createdAt(result, createdAt),
        result.getLong(bytes),
        own.fault());
  }

  private String topic() throws SQLException {
    String name = result.getString(topic);
    if (!lastTopic.equals(name)) {
      lastTopic = name;
    }
    return lastTopic;
  }
}
