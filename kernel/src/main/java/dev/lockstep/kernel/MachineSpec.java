package dev.lockstep.kernel;

import dev.lockstep.schema.SchemaCatalog;
import java.util.Set;
import java.util.function.Supplier;

/**
 * What the kernel must know of a kind of machine.
 *
 * @param name short name, part of application ids and messages: lower case letters and dashes
 * @param inputTopic physical name of the input topic
 * @param catalog types of records, effects and state
 * @param logicVersions versions of its decisions that this program has
 * @param factory makes a machine for one partition and one of these versions
 * @param inMemory first characters (ASCII) of the keys of rows that a host keeps in memory as well
 *     as in its store: those that the machine scans while rows come and go there
 */
public record MachineSpec(
    String name,
    String inputTopic,
    SchemaCatalog catalog,
    Set<Integer> logicVersions,
    Factory factory,
    String inMemory) {

  /** Makes machines. */
  @FunctionalInterface
  public interface Factory {

    /**
     * Makes a machine.
     *
     * @param logicVersion version that the Layout asks for
     * @return a machine without state of its own
     */
    Machine create(int logicVersion);
  }

  /**
   * Describes a machine with one version of its decisions.
   *
   * @param name short name
   * @param inputTopic physical name of the input topic
   * @param catalog types of records, effects and state
   * @param machine makes a machine for one partition
   * @return description with logic version 1
   */
  public static MachineSpec of(
      String name, String inputTopic, SchemaCatalog catalog, Supplier<Machine> machine) {
    return new MachineSpec(name, inputTopic, catalog, Set.of(1), version -> machine.get(), "");
  }

  /**
   * Returns a copy that names the rows to keep in memory. It changes no decision.
   *
   * @param kinds first characters of their keys, ASCII
   * @return changed copy
   */
  public MachineSpec keepingInMemory(String kinds) {
    return new MachineSpec(name, inputTopic, catalog, logicVersions, factory, kinds);
  }

  /**
   * Returns the topic that takes records which no instance can fold.
   *
   * @return physical name
   */
  public String rejectedTopic() {
    return rejectedTopic(inputTopic);
  }

  /**
   * Returns the topic that takes records of an input topic which no instance can fold.
   *
   * @param inputTopic physical name of an input topic
   * @return physical name
   */
  public static String rejectedTopic(String inputTopic) {
    return inputTopic + ".rejected";
  }
}
