package dev.lockstep.kernel;

import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * All topics of an environment, once each: what is created, checked and printed.
 *
 * @param inputs input topics and their first Layouts
 * @param others further topics
 */
public record TopicPlan(List<InputPlan> inputs, List<TopicSpec> others) {

  /**
   * Returns the name of the topic that holds the current Layouts.
   *
   * @param config prefix of the environment
   * @return physical name
   */
  public static String controlTopic(LockstepConfig config) {
    return config.named("lockstep.control");
  }

  /**
   * Returns every topic once.
   *
   * @param config prefix of the environment
   * @return control topic first, then inputs, destinations and others
   * @throws IllegalArgumentException when two parts want one topic with different settings
   */
  public List<TopicSpec> topics(LockstepConfig config) {
    List<TopicSpec> wanted = new ArrayList<>();
    wanted.add(TopicSpec.compacted(controlTopic(config), 1));
    inputs.forEach(input -> wanted.add(input.topic()));
    inputs.forEach(input -> wanted.addAll(input.destinations()));
    wanted.addAll(others);
    Map<String, TopicSpec> byName = new LinkedHashMap<>();
    for (TopicSpec spec : wanted) {
      TopicSpec other = byName.putIfAbsent(spec.name(), spec);
      if (other != null && other.partitions() != spec.partitions()) {
        throw new IllegalArgumentException(
            "Topic '%s' is planned with %d and with %d partitions: choose one"
                .formatted(spec.name(), other.partitions(), spec.partitions()));
      }
    }
    return List.copyOf(byName.values());
  }
}
