package dev.lockstep.kernel.internal.streams;

import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.TopicPartition;

/** Input partitions that stand still in this instance, and why. Thread-safe. */
final class StoppedPartitions {

  private final Map<TopicPartition, String> reasons = new ConcurrentHashMap<>();

  /** Stops a partition; the first reason stays. */
  boolean stop(TopicPartition partition, String reason) {
    return reasons.putIfAbsent(partition, reason) == null;
  }

  boolean contains(TopicPartition partition) {
    return reasons.containsKey(partition);
  }

  Map<String, String> reasons() {
    Map<String, String> sorted = new TreeMap<>();
    reasons.forEach((partition, reason) -> sorted.put(partition.toString(), reason));
    return sorted;
  }
}
