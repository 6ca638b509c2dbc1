package dev.lockstep.schema;

import java.util.List;
import java.util.UUID;
import org.apache.kafka.common.header.Headers;
import org.jspecify.annotations.Nullable;

/**
 * Where a record of an outbox comes from: the header {@code lockstep-row}.
 *
 * <p>Shape: {@code source shard relayEpoch n row}, separated by one blank. A row's place is no
 * function of a log, so receivers drop repeats by {@code row}, never by {@code n} (decision 0004).
 *
 * @param source id of the outbox, written by its first migration
 * @param shard shard that published it
 * @param relayEpoch rises with each relay that owns the shard; lower ones are zombies
 * @param n 1, 2, ... per epoch and destination partition; 0: the partition was left to Kafka
 * @param row id of the row
 */
public record RowSource(UUID source, int shard, long relayEpoch, long n, UUID row) {

  /**
   * Returns the text of the header.
   *
   * @return one line
   */
  public String format() {
    return format(publisher(source, shard, relayEpoch), n, row.toString());
  }

  /**
   * Returns what the headers of all rows of one relay epoch begin with.
   *
   * @param source id of the outbox
   * @param shard shard that is published
   * @param relayEpoch of the relay that owns it
   * @return for {@link #format(String, long, String)}
   */
  public static String publisher(UUID source, int shard, long relayEpoch) {
    return source + " " + shard + " " + relayEpoch;
  }

  /**
   * Returns the text of the header, for who writes many.
   *
   * @param publisher from {@link #publisher}
   * @param n number of the row in its partition; 0: the partition was left to Kafka
   * @param row id of the row
   * @return one line
   */
  public static String format(String publisher, long n, String row) {
    return publisher + " " + n + " " + row;
  }

  /**
   * Reads the header of a record.
   *
   * @param headers headers of a record
   * @return its source, or null when the record comes from no outbox
   * @throws MalformedRecordException when the header is there but not of the documented shape
   */
  public static @Nullable RowSource of(Headers headers) {
    String text = LockstepHeaders.text(headers, LockstepHeaders.ROW);
    if (text == null) {
      return null;
    }
    try {
      List<String> fields = List.of(text.split(" ", -1));
      return new RowSource(
          UUID.fromString(fields.get(0)),
          Integer.parseInt(fields.get(1)),
          Long.parseLong(fields.get(2)),
          Long.parseLong(fields.get(3)),
          UUID.fromString(fields.get(4)));
    } catch (IllegalArgumentException | IndexOutOfBoundsException e) {
      throw new MalformedRecordException(
          "Header %s '%s' is not of the form 'source shard relayEpoch n row'"
              .formatted(LockstepHeaders.ROW, text),
          e);
    }
  }
}
