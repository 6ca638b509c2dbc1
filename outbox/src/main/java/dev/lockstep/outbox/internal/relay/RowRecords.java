package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.RowSource;
import java.time.Instant;
import java.util.Arrays;
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

  private final String publisher;

  /** The same on every record. */
  private final Header specVersion;

  private final Header source;
  private final RowSorter.Topics topics;

  /** By topic, then by partition. */
  private final Map<String, long[]> sent = new HashMap<>();

  private final Map<String, long[]> sentBefore = new HashMap<>();

  /** Rows of a transaction have one time, and to write it costs as much as all the rest. */
  private long timeOf = -1;

  private Header time = header(LockstepHeaders.CE_TIME, "");

  RowRecords(String name, UUID source, int shard, long relayEpoch, RowSorter.Topics topics) {
    this.publisher = RowSource.publisher(source, shard, relayEpoch);
    this.specVersion = specVersion();
    this.source = source(name);
    this.topics = topics;
  }

  /** A page begins. */
  void begin() {
    copy(sent, sentBefore);
  }

  /** Nothing of the page was published: its numbers are used again. */
  void rollback() {
    copy(sentBefore, sent);
  }

  private static void copy(Map<String, long[]> from, Map<String, long[]> to) {
    to.clear();
    from.forEach((topic, numbers) -> to.put(topic, numbers.clone()));
  }

  ProducerRecord<byte[], byte[]> of(LedgerRow row) {
    Integer partition = partition(row, partitions(row.topic()));
    // where Kafka chooses the partition, no reader of one sees all numbers
    long n = partition == null ? 0 : next(row.topic(), partition);
    if (row.createdAt() != timeOf) {
      timeOf = row.createdAt();
      time = time(row);
    }
    String id = row.id().toString();
    RecordHeaders headers =
        new RecordHeaders(
            new Header[] {
              specVersion,
              source,
              header(LockstepHeaders.ROW, RowSource.format(publisher, n, id)),
              header(LockstepHeaders.CE_ID, id),
              time
            });
    addOwn(headers, row);
    return new ProducerRecord<>(row.topic(), partition, null, row.key(), row.payload(), headers);
  }

  private long next(String topic, int partition) {
    long[] numbers = sent.get(topic);
    if (numbers == null || numbers.length <= partition) {
      numbers = numbers == null ? new long[partition + 1] : Arrays.copyOf(numbers, partition + 1);
      sent.put(topic, numbers);
    }
    return ++numbers[partition];
  }

  private static Header specVersion() {
    return header(LockstepHeaders.CE_SPECVERSION, "1.0");
  }

  private static Header source(String name) {
    return header(LockstepHeaders.CE_SOURCE, "/lockstep/outbox/" + name);
  }

  /** When a row was written. */
  private static Header time(LedgerRow row) {
    return header(LockstepHeaders.CE_TIME, Instant.ofEpochMilli(row.createdAt()).toString());
  }

  /**
   * Adds what names a row, and its own headers.
   *
   * @param name of the outbox
   */
  static void describe(Headers headers, LedgerRow row, RowSource from, String name) {
    headers.add(specVersion());
    headers.add(source(name));
    headers.add(header(LockstepHeaders.ROW, from.format()));
    headers.add(header(LockstepHeaders.CE_ID, row.id().toString()));
    headers.add(time(row));
    addOwn(headers, row);
  }

  private static void addOwn(Headers headers, LedgerRow row) {
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
