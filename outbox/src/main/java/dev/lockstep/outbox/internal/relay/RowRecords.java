package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.RowSource;
import java.time.Instant;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.jspecify.annotations.Nullable;

/** Turns rows into records, and counts them per destination partition. */
final class RowRecords {

  /**
   * What names a row is never taken from elsewhere: with the headers of another message forwarded,
   * receivers would take it for a repeat of that one.
   */
  private static final Set<String> RESERVED =
      Set.of(
          LockstepHeaders.ROW,
          LockstepHeaders.REPLAY,
          LockstepHeaders.CE_ID,
          LockstepHeaders.CE_SOURCE,
          LockstepHeaders.CE_TIME,
          LockstepHeaders.CE_SPECVERSION);

  private final UUID source;
  private final int shard;
  private final long relayEpoch;

  /** The same on every record. */
  private final List<Header> constant;

  private final RowSorter.Topics topics;
  private Map<String, Long> sent = new HashMap<>();
  private Map<String, Long> sentBefore = Map.of();

  /** Rows of a transaction have one time, and to write it costs as much as all the rest. */
  private long timeOf = -1;

  private Header time = header(LockstepHeaders.CE_TIME, "");

  RowRecords(String name, UUID source, int shard, long relayEpoch, RowSorter.Topics topics) {
    this.source = source;
    this.shard = shard;
    this.relayEpoch = relayEpoch;
    this.constant =
        List.of(
            header(LockstepHeaders.CE_SPECVERSION, "1.0"),
            header(LockstepHeaders.CE_SOURCE, "/lockstep/outbox/" + name));
    this.topics = topics;
  }

  /** A page begins. */
  void begin() {
    sentBefore = new HashMap<>(sent);
  }

  /** Nothing of the page was published: its numbers are used again. */
  void rollback() {
    sent = new HashMap<>(sentBefore);
  }

  ProducerRecord<byte[], byte[]> of(LedgerRow row) {
    Integer partition = partition(row, partitions(row.topic()));
    // where Kafka chooses the partition, no reader of one sees all numbers
    long n = partition == null ? 0 : sent.merge(row.topic() + "/" + partition, 1L, Long::sum);
    RecordHeaders headers = new RecordHeaders(constant);
    if (row.createdAt() != timeOf) {
      timeOf = row.createdAt();
      time = time(row);
    }
    describe(headers, row, new RowSource(source, shard, relayEpoch, n, row.id()), time);
    return new ProducerRecord<>(row.topic(), partition, null, row.key(), row.payload(), headers);
  }

  /** When a row was written. */
  static Header time(LedgerRow row) {
    return header(LockstepHeaders.CE_TIME, Instant.ofEpochMilli(row.createdAt()).toString());
  }

  /** Adds what names a row, and its own headers. */
  static void describe(Headers headers, LedgerRow row, RowSource from, Header time) {
    headers.add(header(LockstepHeaders.ROW, from.format()));
    headers.add(header(LockstepHeaders.CE_ID, row.id().toString()));
    headers.add(time);
    List<String> own = row.headers();
    for (int i = 0; i + 1 < own.size(); i += 2) {
      if (!RESERVED.contains(own.get(i))) {
        headers.add(header(own.get(i), own.get(i + 1)));
      }
    }
  }

  private int partitions(String name) {
    Topic topic = topics.registered(name);
    return topic != null && topic.partitions() > 0 ? topic.partitions() : topics.partitions(name);
  }

  /**
   * Returns where a row goes; null: Kafka chooses.
   *
   * @param partitions of its topic; 0: not known
   */
  static @Nullable Integer partition(LedgerRow row, int partitions) {
    if (row.partition() != null) {
      return row.partition();
    }
    byte[] key = row.key();
    return partitions == 0 || key == null ? null : Partitions.of(key, partitions);
  }

  static Header header(String name, String value) {
    return new RecordHeader(name, LockstepHeaders.bytes(value));
  }
}
