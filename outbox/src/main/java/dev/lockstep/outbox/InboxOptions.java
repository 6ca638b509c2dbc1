package dev.lockstep.outbox;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/**
 * How a consumer takes messages. Immutable.
 *
 * @param config how to reach Kafka
 * @param consumer name of the service: consumer group and key of its inbox, 1 to 200 characters
 * @param topics physical names, at least one
 * @param mode how repeats are known
 * @param onFailure what becomes of a message that its handler refuses
 * @param attempts how often a message is tried before it is parked, at least 1
 * @param batch most messages in one transaction, 1 to 10,000
 * @param longestWait longest pause between attempts; the first is 100 ms, each doubles it
 */
public record InboxOptions(
    LockstepConfig config,
    String consumer,
    Set<String> topics,
    Mode mode,
    OnFailure onFailure,
    int attempts,
    int batch,
    Duration longestWait) {

  /** How repeats are known. */
  public enum Mode {
    /** By offset, one row for each partition: for topics of the exactly-once lane. */
    OFFSETS,
    /** By id, one row for each message: for topics of the express lane and foreign ones. */
    IDS
  }

  /** What becomes of a message that its handler refuses. */
  public enum OnFailure {
    /** It is tried until it succeeds; its partition waits, others go on. Order is kept. */
    WAIT,
    /**
     * After {@code attempts} it goes to {@code lockstep_inbox_parked}, and its partition goes on;
     * {@link InboxAdmin} has it handled again.
     */
    PARK
  }

  /** Checks all parts and reports every fault at once. */
  public InboxOptions {
    topics = Set.copyOf(topics);
    List<String> faults = new ArrayList<>();
    if (consumer.isEmpty() || consumer.length() > 200) {
      faults.add("consumer must have 1 to 200 characters, has " + consumer.length());
    }
    if (topics.isEmpty()) {
      faults.add("topics must name at least one");
    }
    if (attempts < 1) {
      faults.add("attempts must be at least 1, is " + attempts);
    }
    if (batch < 1 || batch > 10_000) {
      faults.add("batch must be 1 to 10000, is " + batch);
    }
    if (longestWait.toMillis() < 100) {
      faults.add("longestWait must be at least 100 ms, is " + longestWait);
    }
    if (!faults.isEmpty()) {
      throw new IllegalArgumentException("Inbox options are refused: " + String.join("; ", faults));
    }
  }

  /**
   * Makes options: 500 messages in a transaction, waits after failures, 30 s at the longest.
   *
   * @param config how to reach Kafka
   * @param consumer name of the service
   * @param mode how repeats are known
   * @param topics physical names
   * @return options
   */
  public static InboxOptions of(
      LockstepConfig config, String consumer, Mode mode, String... topics) {
    return new InboxOptions(
        config, consumer, Set.of(topics), mode, OnFailure.WAIT, 5, 500, Duration.ofSeconds(30));
  }

  /**
   * Returns options that park a message after some attempts.
   *
   * @param tries how often it is tried
   * @return changed copy
   */
  public InboxOptions parkingAfter(int tries) {
    return new InboxOptions(
        config, consumer, topics, mode, OnFailure.PARK, tries, batch, longestWait);
  }

  /**
   * Returns options with other transactions.
   *
   * @param most messages in one transaction
   * @return changed copy
   */
  public InboxOptions withBatch(int most) {
    return new InboxOptions(config, consumer, topics, mode, onFailure, attempts, most, longestWait);
  }

  /**
   * Returns options with other pauses.
   *
   * @param longest pause between attempts
   * @return changed copy
   */
  public InboxOptions withLongestWait(Duration longest) {
    return new InboxOptions(config, consumer, topics, mode, onFailure, attempts, batch, longest);
  }
}
