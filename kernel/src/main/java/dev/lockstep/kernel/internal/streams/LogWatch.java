package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Looks at the input topic from outside: a foreign transaction that holds it up, and a topic that
 * was created again (rules 4 and 5).
 */
final class LogWatch {

  private static final Logger LOG = LoggerFactory.getLogger(LogWatch.class);
  private static final int TOPIC_EVERY = 10;

  private final Admin admin;
  private final String topic;
  private final String topicId;
  private final int partitions;
  private final Alarms alarms;
  private final LogGuard guard;
  private final Map<TopicPartition, Long> heldAt = new HashMap<>();
  private int rounds;

  LogWatch(
      Admin admin, String topic, String topicId, int partitions, Alarms alarms, LogGuard guard) {
    this.admin = admin;
    this.topic = topic;
    this.topicId = topicId;
    this.partitions = partitions;
    this.alarms = alarms;
    this.guard = guard;
  }

  /** One look; called about twice a second. */
  void look() {
    try {
      lookForHolders();
      if (rounds++ % TOPIC_EVERY == 0) {
        compareTopicId();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      LOG.debug("{} could not be looked at", topic, e);
    }
  }

  private void lookForHolders() throws InterruptedException, ExecutionException, TimeoutException {
    Map<TopicPartition, Long> stable = ends(IsolationLevel.READ_COMMITTED);
    Map<TopicPartition, Long> high = ends(IsolationLevel.READ_UNCOMMITTED);
    for (Map.Entry<TopicPartition, Long> entry : stable.entrySet()) {
      TopicPartition partition = entry.getKey();
      long end = high.getOrDefault(partition, entry.getValue());
      String subject = "held " + partition;
      if (entry.getValue() >= end) {
        heldAt.remove(partition);
        alarms.clear(subject);
      } else if (entry.getValue().equals(heldAt.put(partition, entry.getValue()))) {
        alarms.raise(
            subject,
            "%s: readers are held at offset %d of %d by an open transaction%s; input topics must not be written with transactions (rule 4)"
                .formatted(partition, entry.getValue(), end, holders(partition)));
      }
    }
  }

  private String holders(TopicPartition partition)
      throws InterruptedException, ExecutionException, TimeoutException {
    List<Long> ids =
        admin
            .describeProducers(List.of(partition))
            .partitionResult(partition)
            .get(2, TimeUnit.SECONDS)
            .activeProducers()
            .stream()
            .filter(p -> p.currentTransactionStartOffset().isPresent())
            .map(ProducerState::producerId)
            .toList();
    List<String> names =
        admin.listTransactions().all().get(2, TimeUnit.SECONDS).stream()
            .filter(t -> ids.contains(t.producerId()))
            .map(TransactionListing::transactionalId)
            .toList();
    return ids.isEmpty() ? "" : " of producer " + ids + ", transactional.id " + names;
  }

  private Map<TopicPartition, Long> ends(IsolationLevel level)
      throws InterruptedException, ExecutionException, TimeoutException {
    Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
    for (int i = 0; i < partitions; i++) {
      latest.put(new TopicPartition(topic, i), OffsetSpec.latest());
    }
    Map<TopicPartition, Long> ends = new HashMap<>();
    Map<TopicPartition, ListOffsetsResultInfo> answers =
        admin.listOffsets(latest, new ListOffsetsOptions(level)).all().get(2, TimeUnit.SECONDS);
    answers.forEach((partition, info) -> ends.put(partition, info.offset()));
    return ends;
  }

  private void compareTopicId() throws InterruptedException, ExecutionException, TimeoutException {
    String now =
        requireNonNull(
                admin
                    .describeTopics(List.of(topic))
                    .allTopicNames()
                    .get(2, TimeUnit.SECONDS)
                    .get(topic))
            .topicId()
            .toString();
    if (!now.equals(topicId)) {
      for (int i = 0; i < partitions; i++) {
        guard.stop(
            new TopicPartition(topic, i),
            "%s was created again (topic id %s, the Layout has %s): its old log and everything not yet announced are gone; stop all clients, then start a new topic epoch"
                .formatted(topic, now, topicId));
      }
    }
  }
}
