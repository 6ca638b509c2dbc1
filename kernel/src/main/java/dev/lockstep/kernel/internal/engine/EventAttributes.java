package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Announcement.HeaderText;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockstepHeaders;
import java.time.Instant;
import java.util.List;

/**
 * Headers of public effects of one input partition (CloudEvents 1.0, Kafka binding). Keeps what two
 * effects in a row have in common; not thread-safe.
 */
final class EventAttributes {

  private static final HeaderText VERSION = new HeaderText(LockstepHeaders.CE_SPECVERSION, "1.0");

  private final String partition;
  private final HeaderText source;
  private long millis = Long.MIN_VALUE;
  private HeaderText time = new HeaderText(LockstepHeaders.CE_TIME, "");

  EventAttributes(String topic, int partition) {
    this.partition = topic + "/" + partition;
    this.source = new HeaderText(LockstepHeaders.CE_SOURCE, "/lockstep/" + this.partition);
  }

  List<HeaderText> with(HeaderText positionText, EffectPosition position, Class<?> type) {
    if (position.logTime() != millis) {
      millis = position.logTime();
      time = new HeaderText(LockstepHeaders.CE_TIME, Instant.ofEpochMilli(millis).toString());
    }
    return List.of(
        positionText,
        VERSION,
        new HeaderText(
            LockstepHeaders.CE_ID, partition + "/" + position.epoch() + "." + position.point()),
        source,
        new HeaderText(LockstepHeaders.CE_TYPE, type.getName()),
        time);
  }
}
