package dev.lockstep.schema;

import java.util.List;
import org.apache.kafka.common.header.Headers;
import org.jspecify.annotations.Nullable;

/**
 * Where an effect of a machine comes from: the header {@code lockstep-position}.
 *
 * <p>Shape of the header: {@code topic/partition epoch.offset.index previous time leaderEpoch}, the
 * fields separated by one blank, {@code previous} as {@code offset.index} or {@code -}. Positions
 * of one source rise within each destination partition; repeats of a run are byte for byte equal.
 *
 * @param topic input topic that caused the effect
 * @param partition partition of it
 * @param epoch topic epoch of the Layout
 * @param offset offset of the record that caused it
 * @param index 0, 1, ... among the effects of that record
 * @param previous position of the effect before this one in the same destination partition; null
 *     for the first
 * @param logTime LogAppendTime of the record, ms since the epoch
 * @param leaderEpoch leader epoch of the record
 */
public record EffectPosition(
    String topic,
    int partition,
    int epoch,
    long offset,
    int index,
    @Nullable Point previous,
    long logTime,
    int leaderEpoch) {

  /**
   * Offset and index of an effect, within one topic epoch.
   *
   * @param offset offset of the record that caused it
   * @param index index among that record's effects
   */
  public record Point(long offset, int index) {

    @Override
    public String toString() {
      return offset + "." + index;
    }
  }

  /**
   * Returns offset and index.
   *
   * @return this position without its source
   */
  public Point point() {
    return new Point(offset, index);
  }

  /**
   * Returns the text of the header.
   *
   * @return one line
   */
  public String format() {
    return topic
        + "/"
        + partition
        + " "
        + epoch
        + "."
        + offset
        + "."
        + index
        + " "
        + (previous == null ? "-" : previous.toString())
        + " "
        + logTime
        + " "
        + leaderEpoch;
  }

  /**
   * Reads the header of a record.
   *
   * @param headers headers of a record
   * @return its position, or null when the record is no effect of a machine
   * @throws MalformedRecordException when the header is there but not of the documented shape
   */
  public static @Nullable EffectPosition of(Headers headers) {
    String text = LockstepHeaders.text(headers, LockstepHeaders.POSITION);
    return text == null ? null : parse(text);
  }

  /**
   * Reads the text of the header.
   *
   * @param text what {@link #format} wrote
   * @return the position
   * @throws MalformedRecordException when the text is not of the documented shape
   */
  public static EffectPosition parse(String text) {
    try {
      List<String> fields = List.of(text.split(" ", -1));
      int slash = fields.get(0).lastIndexOf('/');
      List<String> at = List.of(fields.get(1).split("\\.", -1));
      Point previous = null;
      if (!fields.get(2).equals("-")) {
        List<String> before = List.of(fields.get(2).split("\\.", -1));
        previous = new Point(Long.parseLong(before.get(0)), Integer.parseInt(before.get(1)));
      }
      return new EffectPosition(
          fields.get(0).substring(0, slash),
          Integer.parseInt(fields.get(0).substring(slash + 1)),
          Integer.parseInt(at.get(0)),
          Long.parseLong(at.get(1)),
          Integer.parseInt(at.get(2)),
          previous,
          Long.parseLong(fields.get(3)),
          Integer.parseInt(fields.get(4)));
    } catch (IndexOutOfBoundsException | NumberFormatException e) {
      throw new MalformedRecordException(
          "Header %s '%s' is not of the form 'topic/partition epoch.offset.index previous time leaderEpoch'"
              .formatted(LockstepHeaders.POSITION, text),
          e);
    }
  }
}
