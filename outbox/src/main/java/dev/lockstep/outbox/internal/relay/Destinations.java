package dev.lockstep.outbox.internal.relay;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.jspecify.annotations.Nullable;

/**
 * Looks at the topics that rows go to: one that cannot be written to for five seconds must not hold
 * up the others of its shard (outbox-review, 16). When no broker answers at all nothing is said of
 * any topic: all wait then. Thread-safe.
 */
final class Destinations implements AutoCloseable {

  /** How long a topic may be away before its rows are put aside. */
  static final Duration PATIENCE = Duration.ofSeconds(5);

  private static final Duration ANSWER = Duration.ofSeconds(4);

  private record Fault(String reason, long sinceNanos) {}

  private final Admin admin;
  private final LongSupplier nanoTime;
  private final Map<String, Integer> partitions = new ConcurrentHashMap<>();
  private final Map<String, Fault> faults = new ConcurrentHashMap<>();
  private final Set<String> unreadable = ConcurrentHashMap.newKeySet();

  Destinations(LockstepConfig config, LongSupplier nanoTime) {
    Map<String, Object> settings = config.client();
    settings.put("default.api.timeout.ms", (int) ANSWER.toMillis());
    settings.put("request.timeout.ms", (int) ANSWER.toMillis() / 2);
    this.admin = Admin.create(settings);
    this.nanoTime = nanoTime;
  }

  /** For what else must be asked about them. */
  Admin admin() {
    return admin;
  }

  /** Looks at topics now. */
  void look(Set<String> topics) throws InterruptedException {
    Map<String, KafkaFuture<TopicDescription>> described =
        admin
            .describeTopics(topics, new DescribeTopicsOptions().includeAuthorizedOperations(true))
            .topicNameValues();
    for (Map.Entry<String, KafkaFuture<TopicDescription>> one : described.entrySet()) {
      try {
        TopicDescription topic = one.getValue().get(ANSWER.toMillis(), TimeUnit.MILLISECONDS);
        partitions.put(one.getKey(), topic.partitions().size());
        if (isAllowed(topic, AclOperation.READ)) {
          unreadable.remove(one.getKey());
        } else {
          unreadable.add(one.getKey());
        }
        String reason = fault(topic);
        if (reason == null) {
          faults.remove(one.getKey());
        } else {
          report(one.getKey(), reason);
        }
      } catch (ExecutionException e) {
        if (e.getCause() instanceof UnknownTopicOrPartitionException
            || e.getCause() instanceof InvalidTopicException) {
          report(one.getKey(), "it does not exist: create it again");
        } else if (e.getCause() instanceof TopicAuthorizationException) {
          report(one.getKey(), "it may not be described: grant DESCRIBE and WRITE");
        }
      } catch (TimeoutException e) {
        return;
      }
    }
  }

  /** Remembers that a topic cannot be written to, since now unless that was known before. */
  void report(String topic, String reason) {
    faults.merge(
        topic,
        new Fault(reason, nanoTime.getAsLong()),
        (before, now) -> new Fault(reason, before.sinceNanos()));
  }

  /** Returns how many partitions a topic has; 0 when it was never seen. */
  int partitions(String topic) {
    return partitions.getOrDefault(topic, 0);
  }

  /**
   * Tells whether a topic may be read, when it was last seen: asking would be logged as an error.
   */
  boolean mayBeRead(String topic) {
    return !unreadable.contains(topic);
  }

  /** Returns why a topic cannot be written to; null when it can. */
  @Nullable String fault(String topic) {
    Fault fault = faults.get(topic);
    return fault == null ? null : fault.reason();
  }

  /** Tells whether a topic is away for longer than its rows are waited for. */
  boolean isGivenUp(String topic) {
    Fault fault = faults.get(topic);
    return fault != null && nanoTime.getAsLong() - fault.sinceNanos() >= PATIENCE.toNanos();
  }

  /** Returns the largest record that each topic takes; without those that cannot be asked. */
  Map<String, Integer> limits(Collection<String> topics) throws InterruptedException {
    Map<String, Integer> limits = new HashMap<>();
    var answers =
        admin
            .describeConfigs(
                topics.stream()
                    .map(topic -> new ConfigResource(ConfigResource.Type.TOPIC, topic))
                    .toList())
            .values();
    for (var answer : answers.entrySet()) {
      try {
        String value =
            answer
                .getValue()
                .get(ANSWER.toMillis(), TimeUnit.MILLISECONDS)
                .get(TopicConfig.MAX_MESSAGE_BYTES_CONFIG)
                .value();
        limits.put(answer.getKey().name(), Integer.parseInt(value));
      } catch (ExecutionException | TimeoutException e) {
        // not for this principal, or not there: the limit that is known stays
      }
    }
    return limits;
  }

  @Override
  public void close() {
    admin.close(Duration.ofSeconds(2));
  }

  private static @Nullable String fault(TopicDescription topic) {
    for (TopicPartitionInfo partition : topic.partitions()) {
      if (partition.leader() == null || partition.leader().isEmpty()) {
        return "its partition %d has no leader".formatted(partition.partition());
      }
    }
    return isAllowed(topic, AclOperation.WRITE) ? null : "it may not be written to: grant WRITE";
  }

  /** Where that is not known it is tried. */
  private static boolean isAllowed(TopicDescription topic, AclOperation operation) {
    Set<AclOperation> allowed = topic.authorizedOperations();
    return allowed == null
        || allowed.isEmpty()
        || allowed.contains(operation)
        || allowed.contains(AclOperation.ALL);
  }
}
