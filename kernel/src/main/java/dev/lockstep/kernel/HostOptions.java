package dev.lockstep.kernel;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * How a {@link Host} runs on this instance. None of it changes a decision. Immutable.
 *
 * @param config how to reach Kafka
 * @param stateDirectory where local state is kept; keep it across restarts of the same place
 * @param threads stream threads, at least 1; each commits a transaction of its own, so more of them
 *     pay only where there are more cores than two
 * @param commitInterval how often state is committed; effects never wait for it
 * @param timeouts how long to wait for what
 * @param unwrittenRows most rows that may have changed before they are written; at a commit all are
 * @param twice run each turn twice and compare: for tests and debugging
 * @param clientSettings further settings for Kafka Streams, such as {@code producer.linger.ms};
 *     they win
 */
public record HostOptions(
    LockstepConfig config,
    Path stateDirectory,
    int threads,
    Duration commitInterval,
    Timeouts timeouts,
    int unwrittenRows,
    boolean twice,
    Map<String, String> clientSettings) {

  /**
   * The order that must hold: request &lt; delivery &lt; transaction, and the brokers' own
   * fail-over &lt; transaction (decision 0003).
   *
   * @param session consumer session; how long a dead instance keeps its partitions
   * @param request one request to a broker
   * @param delivery one effect, retries included
   * @param transaction a transaction of state
   */
  public record Timeouts(
      Duration session, Duration request, Duration delivery, Duration transaction) {

    /**
     * For brokers with Kafka's own settings. A broker that was killed is let in again after 9 s at
     * the earliest (broker.session.timeout.ms), so an effect must outlive that.
     */
    public static final Timeouts STOCK =
        new Timeouts(
            Duration.ofSeconds(6),
            Duration.ofSeconds(4),
            Duration.ofSeconds(20),
            Duration.ofSeconds(30));

    /** For brokers that allow sessions of 1.5 s and fail over as fast. */
    public static final Timeouts TUNED =
        new Timeouts(
            Duration.ofMillis(1500),
            Duration.ofMillis(1200),
            Duration.ofMillis(2500),
            Duration.ofSeconds(5));
  }

  /** Checks all parts and reports every fault at once. */
  public HostOptions {
    List<String> faults = new ArrayList<>();
    if (threads < 1) {
      faults.add("threads must be at least 1, is " + threads);
    }
    if (commitInterval.toMillis() < 1) {
      faults.add("commitInterval must be at least 1 ms, is " + commitInterval);
    }
    if (unwrittenRows < 1) {
      faults.add("unwrittenRows must be at least 1, is " + unwrittenRows);
    }
    if (timeouts.request().compareTo(timeouts.delivery()) >= 0
        || timeouts.delivery().compareTo(timeouts.transaction()) >= 0) {
      faults.add("timeouts must rise from request to delivery to transaction, are " + timeouts);
    }
    if (clientSettings.keySet().stream().anyMatch(key -> key.endsWith("client.id"))) {
      faults.add("client.id must be left to Lockstep: the reaper knows dead owners by it");
    }
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException("Host options are refused: " + String.join("; ", faults));
    }
    clientSettings = Map.copyOf(clientSettings);
  }

  /**
   * Makes options for brokers with Kafka's own settings.
   *
   * @param config how to reach Kafka
   * @param stateDirectory where local state is kept
   * @return one thread, a commit every 250 ms
   */
  public static HostOptions stock(LockstepConfig config, Path stateDirectory) {
    return new HostOptions(
        config,
        stateDirectory,
        1,
        Duration.ofMillis(250),
        Timeouts.STOCK,
        100_000,
        false,
        Map.of());
  }

  /**
   * Makes options for brokers that allow short sessions.
   *
   * @param config how to reach Kafka
   * @param stateDirectory where local state is kept
   * @return one thread, a commit every 250 ms
   */
  public static HostOptions tuned(LockstepConfig config, Path stateDirectory) {
    return stock(config, stateDirectory).withTimeouts(Timeouts.TUNED);
  }

  /**
   * Returns a copy with other time-outs.
   *
   * @param value how long to wait for what
   * @return changed copy
   */
  public HostOptions withTimeouts(Timeouts value) {
    return new HostOptions(
        config,
        stateDirectory,
        threads,
        commitInterval,
        value,
        unwrittenRows,
        twice,
        clientSettings);
  }

  /**
   * Returns a copy with another number of stream threads.
   *
   * @param value at least 1
   * @return changed copy
   */
  public HostOptions withThreads(int value) {
    return new HostOptions(
        config,
        stateDirectory,
        value,
        commitInterval,
        timeouts,
        unwrittenRows,
        twice,
        clientSettings);
  }

  /**
   * Returns a copy that keeps another number of changed rows before it writes them.
   *
   * @param value at least 1
   * @return changed copy
   */
  public HostOptions withUnwrittenRows(int value) {
    return new HostOptions(
        config, stateDirectory, threads, commitInterval, timeouts, value, twice, clientSettings);
  }

  /**
   * Returns a copy with another commit interval.
   *
   * @param value at least 1 ms
   * @return changed copy
   */
  public HostOptions withCommitInterval(Duration value) {
    return new HostOptions(
        config, stateDirectory, threads, value, timeouts, unwrittenRows, twice, clientSettings);
  }

  /**
   * Returns a copy that runs each turn twice and compares.
   *
   * @return changed copy
   */
  public HostOptions checkingTurns() {
    return new HostOptions(
        config,
        stateDirectory,
        threads,
        commitInterval,
        timeouts,
        unwrittenRows,
        true,
        clientSettings);
  }

  /**
   * Returns a copy with further settings of Kafka Streams.
   *
   * @param settings they win over everything else
   * @return changed copy
   */
  public HostOptions withClientSettings(Map<String, String> settings) {
    return new HostOptions(
        config, stateDirectory, threads, commitInterval, timeouts, unwrittenRows, twice, settings);
  }
}
