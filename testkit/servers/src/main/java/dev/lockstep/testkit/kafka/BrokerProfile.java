package dev.lockstep.testkit.kafka;

import java.util.Map;

/** Broker settings for a purpose. Both keep Kafka's own defaults for everything unnamed. */
public enum BrokerProfile {
  /** Kafka's defaults, but for a small number of internal partitions. */
  STOCK(Map.of()),

  /**
   * Fast fail-over: short sessions allowed, dead transactions ended soon. Sources: decision 0003
   * and the tuning table in {@code docs/reference/configuration.md}.
   */
  TUNED(
      Map.of(
          "group.min.session.timeout.ms", "500",
          "group.initial.rebalance.delay.ms", "0",
          "transaction.abort.timed.out.transaction.cleanup.interval.ms", "100",
          "add.partitions.to.txn.retry.backoff.ms", "1",
          "broker.session.timeout.ms", "2000",
          "broker.heartbeat.interval.ms", "400"));

  @SuppressWarnings("ImmutableEnumChecker") // Map.of is immutable
  private final Map<String, String> settings;

  BrokerProfile(Map<String, String> settings) {
    this.settings = settings;
  }

  /**
   * Returns the broker properties of this profile.
   *
   * @return property names and values
   */
  public Map<String, String> settings() {
    return settings;
  }
}
