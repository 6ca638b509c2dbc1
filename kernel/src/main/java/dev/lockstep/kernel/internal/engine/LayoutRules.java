package dev.lockstep.kernel.internal.engine;

import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a Layout may say, alone and after another one. */
final class LayoutRules {

  private LayoutRules() {}

  /** Returns what is wrong with {@code next}; null when nothing is. */
  static @Nullable String fault(@Nullable Layout current, Layout next, String topic) {
    if (!next.getTopic().equals(topic)) {
      return "Layout is for topic '%s'".formatted(next.getTopic());
    }
    if (next.getTickMillis() < 1 || next.getPartitions() < 1) {
      return "Layout needs a tick and partitions of at least 1, has %d ms and %d"
          .formatted(next.getTickMillis(), next.getPartitions());
    }
    if (next.getTopicEpoch() < 1 || next.getTopicEpoch() > 0xFFFF) {
      return "Layout needs a topic epoch of 1 to 65535, has %d".formatted(next.getTopicEpoch());
    }
    List<Long> schemas = next.getSchemas();
    if (!schemas.equals(schemas.stream().sorted().distinct().toList())) {
      return "Layout's schemas are not in ascending order";
    }
    for (Destination destination : next.getDestinations()) {
      if (destination.getPartitions() < 1 || destination.getMaxBytes() < 1) {
        return "Layout gives '%s' %d partitions and %d bytes"
            .formatted(
                destination.getTopic(), destination.getPartitions(), destination.getMaxBytes());
      }
    }
    if (current == null) {
      return null;
    }
    if (!current.getTopicId().equals(next.getTopicId())
        || current.getTopicEpoch() != next.getTopicEpoch()
        || current.getPartitions() != next.getPartitions()) {
      return "Layout changes topic id, epoch or partition count: only a topic that is created again may";
    }
    return null;
  }
}
