package dev.lockstep.kernel;

import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.TopicSpec;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * What the first Layout of an input topic says.
 *
 * @param topic the input topic
 * @param tickMillis period of ticks
 * @param logicVersion version of the machine's decisions
 * @param schemas fingerprints that its records may have
 * @param destinations topics that its effects may go to
 * @param maxBytes largest effect, key and headers included
 * @param limits bounds of the machine by name
 */
public record InputPlan(
    TopicSpec topic,
    int tickMillis,
    int logicVersion,
    List<Long> schemas,
    List<TopicSpec> destinations,
    int maxBytes,
    Map<String, Long> limits) {

  /** Kafka's own limit of 1 MiB for a batch, less what a batch adds to a record. */
  public static final int DEFAULT_MAX_BYTES = 1_000_000;

  /**
   * Plans a machine's input with a tick of 200 ms.
   *
   * @param machine the machine; all types of its catalog are allowed
   * @param partitions number of partitions
   * @param destinations topics that its effects may go to; the rejected topic is added
   * @return plan
   */
  public static InputPlan of(MachineSpec machine, int partitions, List<TopicSpec> destinations) {
    TreeSet<Long> schemas = new TreeSet<>(machine.catalog().fingerprints());
    schemas.addAll(KernelSchemas.CATALOG.fingerprints());
    List<TopicSpec> all = new java.util.ArrayList<>(destinations);
    all.add(TopicSpec.rejected(machine.rejectedTopic(), partitions));
    return new InputPlan(
        TopicSpec.input(machine.inputTopic(), partitions),
        200,
        machine.logicVersions().stream().max(Integer::compare).orElse(1),
        List.copyOf(schemas),
        List.copyOf(all),
        DEFAULT_MAX_BYTES,
        Map.of());
  }

  /**
   * Returns a copy with other limits.
   *
   * @param value bounds of the machine by name
   * @return changed copy
   */
  public InputPlan withLimits(Map<String, Long> value) {
    return new InputPlan(topic, tickMillis, logicVersion, schemas, destinations, maxBytes, value);
  }

  /**
   * Returns a copy with another tick.
   *
   * @param value milliseconds
   * @return changed copy
   */
  public InputPlan withTickMillis(int value) {
    return new InputPlan(topic, value, logicVersion, schemas, destinations, maxBytes, limits);
  }
}
