package dev.lockstep.schema;

import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Drops repeats of machines' effects, in memory. One mark per source partition <em>and</em>
 * destination partition. A receiver that forgets its marks sees some effects again and misses none.
 * Not thread-safe.
 */
public final class PositionReceiver {

  private record Source(
      String destination, int destinationPartition, String topic, int partition) {}

  private final Map<Source, PositionMark> marks = new HashMap<>();

  /**
   * Judges a record and moves its mark when it is to be taken.
   *
   * @param record a record of a destination topic
   * @return the verdict; {@code TAKE} for a record that is no effect of a machine
   * @throws MalformedRecordException when its position header is not of the documented shape
   */
  public PositionMark.Verdict receive(ConsumerRecord<byte[], byte[]> record) {
    EffectPosition position = EffectPosition.of(record.headers());
    if (position == null) {
      return PositionMark.Verdict.TAKE;
    }
    Source source =
        new Source(record.topic(), record.partition(), position.topic(), position.partition());
    @Nullable PositionMark mark = marks.get(source);
    PositionMark.Verdict verdict = PositionMark.judge(mark, position);
    if (verdict == PositionMark.Verdict.TAKE || verdict == PositionMark.Verdict.TAKE_AFTER_HOLE) {
      marks.put(source, PositionMark.at(position));
    }
    return verdict;
  }

  /**
   * Forgets a destination partition, when it is handed to another receiver.
   *
   * @param topic destination topic
   * @param partition partition of it
   */
  public void forget(String topic, int partition) {
    marks
        .keySet()
        .removeIf(s -> s.destination().equals(topic) && s.destinationPartition() == partition);
  }
}
