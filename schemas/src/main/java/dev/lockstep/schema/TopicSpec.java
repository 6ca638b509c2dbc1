package dev.lockstep.schema;

import java.util.Map;
import java.util.TreeMap;

/**
 * A topic as Lockstep needs it.
 *
 * @param name physical name
 * @param partitions number of partitions
 * @param role what it is for; decides which settings are checked at start
 * @param settings topic settings that it is created with and that must hold
 */
public record TopicSpec(String name, int partitions, Role role, Map<String, String> settings) {

  /** What a topic is for. */
  public enum Role {
    /** A machine's log: time comes from the broker, nobody writes with transactions. */
    INPUT,
    /** Effects of machines. */
    EFFECTS,
    /** Records that no instance could fold. */
    REJECTED,
    /** One value per key: layouts, positions of outboxes. */
    COMPACTED,
    /** A user's own topic. */
    APPLICATION
  }

  private static final Map<String, String> SAFE =
      Map.of("unclean.leader.election.enable", "false", "cleanup.policy", "delete");

  /** Copies the settings. */
  public TopicSpec {
    settings = Map.copyOf(settings);
  }

  /**
   * Makes a machine's input topic.
   *
   * @param name physical name
   * @param partitions number of partitions; cannot be changed without a new topic epoch
   * @return specification with LogAppendTime and a week of retention
   */
  public static TopicSpec input(String name, int partitions) {
    return new TopicSpec(
        name,
        partitions,
        Role.INPUT,
        with(SAFE, Map.of("message.timestamp.type", "LogAppendTime", "retention.ms", "604800000")));
  }

  /**
   * Makes a topic for effects.
   *
   * @param name physical name
   * @param partitions number of partitions
   * @return specification with a week of retention
   */
  public static TopicSpec effects(String name, int partitions) {
    return new TopicSpec(
        name, partitions, Role.EFFECTS, with(SAFE, Map.of("retention.ms", "604800000")));
  }

  /**
   * Makes a topic for rejected records.
   *
   * @param name physical name
   * @param partitions number of partitions
   * @return specification with thirty days of retention
   */
  public static TopicSpec rejected(String name, int partitions) {
    return new TopicSpec(
        name, partitions, Role.REJECTED, with(SAFE, Map.of("retention.ms", "2592000000")));
  }

  /**
   * Makes a compacted topic.
   *
   * @param name physical name
   * @param partitions number of partitions
   * @return specification that keeps the last value of each key
   */
  public static TopicSpec compacted(String name, int partitions) {
    return new TopicSpec(
        name,
        partitions,
        Role.COMPACTED,
        with(
            SAFE,
            Map.of(
                "cleanup.policy", "compact",
                "segment.bytes", Integer.toString(16 << 20),
                "min.cleanable.dirty.ratio", "0.1")));
  }

  /**
   * Makes a user's topic.
   *
   * @param name physical name
   * @param partitions number of partitions
   * @return specification with a week of retention
   */
  public static TopicSpec application(String name, int partitions) {
    return new TopicSpec(
        name, partitions, Role.APPLICATION, with(SAFE, Map.of("retention.ms", "604800000")));
  }

  private static Map<String, String> with(Map<String, String> base, Map<String, String> more) {
    Map<String, String> all = new TreeMap<>(base);
    all.putAll(more);
    return all;
  }
}
