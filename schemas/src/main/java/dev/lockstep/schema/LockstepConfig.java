package dev.lockstep.schema;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * How a program reaches Kafka; the same object for every part. Immutable.
 *
 * @param bootstrapServers addresses of brokers, comma separated
 * @param topicPrefix put before every topic, group and application id, such as {@code prod.}; may
 *     be empty. Letters, digits, dots, dashes and underscores
 * @param clientSettings settings for all Kafka clients that are made from this, such as {@code
 *     security.protocol}; never printed
 */
public record LockstepConfig(
    String bootstrapServers, String topicPrefix, Map<String, String> clientSettings) {

  private static final Pattern PREFIX = Pattern.compile("[a-zA-Z0-9._-]{0,60}");
  private static final List<String> OWN =
      List.of("client.id", "group.id", "transactional.id", "application.id", "acks");

  /** Checks all parts and reports every fault at once. */
  public LockstepConfig {
    List<String> faults = new ArrayList<>();
    if (bootstrapServers.isBlank()) {
      faults.add("bootstrapServers is empty: name at least one broker as host:port");
    }
    if (!PREFIX.matcher(topicPrefix).matches()) {
      faults.add("topicPrefix '%s' does not match %s".formatted(topicPrefix, PREFIX.pattern()));
    }
    for (String own : OWN) {
      if (clientSettings.containsKey(own)) {
        faults.add(
            "clientSettings sets %s, which Lockstep chooses itself: leave it out".formatted(own));
      }
    }
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException("Configuration is refused: " + String.join("; ", faults));
    }
    clientSettings = Map.copyOf(clientSettings);
  }

  /**
   * Makes a configuration without prefix and further settings.
   *
   * @param bootstrapServers addresses of brokers, comma separated
   * @return configuration
   */
  public static LockstepConfig of(String bootstrapServers) {
    return new LockstepConfig(bootstrapServers, "", Map.of());
  }

  /**
   * Returns the settings for a Kafka client.
   *
   * @return a new map that the caller may add to
   */
  public Map<String, Object> client() {
    Map<String, Object> settings = new HashMap<>(clientSettings);
    settings.put("bootstrap.servers", bootstrapServers);
    return settings;
  }

  /**
   * Returns the settings for a consumer that reads up to an end and is closed: from the beginning
   * where no offset is given, committing none.
   *
   * @return a new map that the caller may add to
   */
  public Map<String, Object> shortRead() {
    Map<String, Object> settings = client();
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    // close(), and the next partition, wait for the fetch under way: half a second by default
    settings.put("fetch.max.wait.ms", "10");
    return settings;
  }

  /**
   * Returns a physical name.
   *
   * @param name name of a topic, group or application without prefix
   * @return name with prefix
   */
  public String named(String name) {
    return topicPrefix + name;
  }

  /** Returns address and prefix; settings may hold secrets. */
  @Override
  public String toString() {
    return "LockstepConfig[" + bootstrapServers + ", prefix '" + topicPrefix + "']";
  }
}
