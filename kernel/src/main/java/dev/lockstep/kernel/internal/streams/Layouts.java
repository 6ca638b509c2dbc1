package dev.lockstep.kernel.internal.streams;

import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import java.util.ArrayList;
import java.util.List;

/** Copies of Layouts. */
public final class Layouts {

  private Layouts() {}

  /** Avro's own {@code newBuilder(layout)} copies deeply, by classes that it must first trust. */
  public static Layout.Builder builder(Layout layout) {
    return Layout.newBuilder()
        .setTopic(layout.getTopic())
        .setTopicId(layout.getTopicId())
        .setTopicEpoch(layout.getTopicEpoch())
        .setPartitions(layout.getPartitions())
        .setTickMillis(layout.getTickMillis())
        .setLogicVersion(layout.getLogicVersion())
        .setSchemas(layout.getSchemas())
        .setDestinations(layout.getDestinations())
        .setLimits(layout.getLimits())
        .setOrder(layout.getOrder());
  }

  /** What only making a topic again changes. */
  public static List<Object> identity(Layout layout) {
    return List.of(
        layout.getTopic(), layout.getTopicId(), layout.getTopicEpoch(), layout.getPartitions());
  }

  /** Returns destinations of which one has another number of partitions. */
  static List<Destination> with(List<Destination> destinations, String topic, int partitions) {
    List<Destination> changed = new ArrayList<>();
    for (Destination each : destinations) {
      changed.add(
          each.getTopic().equals(topic)
              ? new Destination(topic, partitions, each.getMaxBytes())
              : each);
    }
    return changed;
  }
}
