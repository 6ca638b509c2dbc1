package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.DescribeProducersResult.PartitionProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.internals.Topic;
import org.apache.kafka.common.utils.Utils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Ends own transactions that their coordinator has forgotten, in the changelog and in the group's
 * offsets: a restore, or the fetch of an offset, would wait for their end for ever.
 *
 * <p>Kafka 4.3.1 makes such a transaction when its coordinator ends it while the partition has no
 * leader, as in the first second of a restarted broker: the coordinator takes the partition for
 * deleted, writes no marker and calls the transaction complete (decision 0005).
 *
 * <p>A transaction is forgotten when its coordinator has gone on to a higher epoch of the producer
 * and no longer lists the partition. Nobody can write under the old epoch any more, so ending it
 * changes nothing but the wait. It must look so twice in a row: partition and coordinator cannot be
 * read at one moment.
 */
final class HangingTransactions {

  private static final Logger LOG = LoggerFactory.getLogger(HangingTransactions.class);
  private static final long TIMEOUT_SECONDS = 2;
  private static final String HANGING = "hanging transaction in ";
  private static final String UNSEEN = "open transactions of ";

  /** An open transaction as its partition sees it. */
  private record Open(TopicPartition partition, long producerId, int epoch, int coordinatorEpoch) {}

  private final Admin admin;
  private final String applicationId;
  private final Pattern ids;
  private final List<TopicPartition> changelog;
  private final Alarms alarms;
  private Set<Open> seenBefore = Set.of();

  HangingTransactions(Admin admin, String applicationId, int partitions, Alarms alarms) {
    this.admin = admin;
    this.applicationId = applicationId;
    this.alarms = alarms;
    this.ids = Pattern.compile("^" + Pattern.quote(applicationId) + "-[0-9a-f-]{36}-\\d+$");
    this.changelog = new ArrayList<>();
    for (int i = 0; i < partitions; i++) {
      changelog.add(new TopicPartition(StreamsSettings.changelog(applicationId), i));
    }
  }

  /** One look; called while the client is not RUNNING, and while an alarm of it stands. */
  void look() {
    try {
      Set<Open> forgotten = forgotten();
      for (Open open : forgotten) {
        if (seenBefore.contains(open)) {
          end(open);
        }
      }
      seenBefore = forgotten;
      clearAllBut(forgotten);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      LOG.debug("{}: open transactions could not be looked at", applicationId, e);
    }
  }

  /** True while something is denied: worth a look even when all is running. */
  boolean hasAlarms() {
    return alarms.standing().keySet().stream()
        .anyMatch(subject -> subject.startsWith(HANGING) || subject.startsWith(UNSEEN));
  }

  /** Somebody else may have ended a transaction that could not be ended here. */
  private void clearAllBut(Set<Open> forgotten) {
    Set<String> still =
        forgotten.stream().map(HangingTransactions::subject).collect(Collectors.toSet());
    for (String subject : alarms.standing().keySet()) {
      if (subject.startsWith(HANGING) && !still.contains(subject)) {
        alarms.clear(subject);
      }
    }
  }

  private static String subject(Open open) {
    return HANGING + open.partition();
  }

  private Set<Open> forgotten() throws InterruptedException, ExecutionException, TimeoutException {
    List<Open> open = open();
    if (open.isEmpty()) {
      return Set.of();
    }
    Map<Long, TransactionDescription> coordinators = coordinators(open);
    return open.stream()
        .filter(
            transaction -> {
              TransactionDescription now = coordinators.get(transaction.producerId());
              return now != null
                  && now.producerEpoch() > transaction.epoch()
                  && !now.topicPartitions().contains(transaction.partition());
            })
        .collect(Collectors.toCollection(HashSet::new));
  }

  /** Each partition by itself: one that cannot be read must not hide the others. */
  private List<Open> open() throws InterruptedException {
    List<TopicPartition> watched = new ArrayList<>(changelog);
    offsets().ifPresent(watched::add);
    DescribeProducersResult states = admin.describeProducers(watched);
    List<Open> open = new ArrayList<>();
    for (TopicPartition partition : watched) {
      read(partition.toString(), states.partitionResult(partition))
          .ifPresent(state -> open.addAll(open(partition, state)));
    }
    return open;
  }

  private static List<Open> open(TopicPartition partition, PartitionProducerState state) {
    return state.activeProducers().stream()
        .filter(producer -> producer.currentTransactionStartOffset().isPresent())
        .map(
            producer ->
                new Open(
                    partition,
                    producer.producerId(),
                    producer.producerEpoch(),
                    producer.coordinatorEpoch().orElse(0)))
        .toList();
  }

  /** The partition that keeps the group's offsets, found as brokers find it. */
  private Optional<TopicPartition> offsets() throws InterruptedException {
    String topic = Topic.GROUP_METADATA_TOPIC_NAME;
    return read(
            topic,
            requireNonNull(admin.describeTopics(List.of(topic)).topicNameValues().get(topic)))
        .map(
            description ->
                new TopicPartition(
                    topic, Utils.abs(applicationId.hashCode()) % description.partitions().size()));
  }

  /** What cannot be read now is empty; what may not be read is an alarm as well. */
  private <T> Optional<T> read(String what, KafkaFuture<T> result) throws InterruptedException {
    String subject = UNSEEN + what;
    try {
      T value = result.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      alarms.clear(subject);
      return Optional.of(value);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof AuthorizationException) {
        alarms.raise(
            subject,
            "%s: %s may not be looked at (%s), so a transaction that hangs there would hold up this host: allow Describe and Read"
                .formatted(applicationId, subject, e.getCause().getMessage()));
      } else {
        LOG.debug("{}: {} could not be looked at", applicationId, subject, e);
      }
      return Optional.empty();
    } catch (TimeoutException e) {
      LOG.debug("{}: {} could not be looked at", applicationId, subject, e);
      return Optional.empty();
    }
  }

  private Map<Long, TransactionDescription> coordinators(List<Open> open)
      throws InterruptedException, ExecutionException, TimeoutException {
    Set<Long> producers = open.stream().map(Open::producerId).collect(Collectors.toSet());
    List<String> own =
        admin.listTransactions().all().get(TIMEOUT_SECONDS, TimeUnit.SECONDS).stream()
            .filter(listing -> producers.contains(listing.producerId()))
            .map(TransactionListing::transactionalId)
            .filter(id -> ids.matcher(id).matches())
            .toList();
    Map<Long, TransactionDescription> byProducer = new HashMap<>();
    admin
        .describeTransactions(own)
        .all()
        .get(TIMEOUT_SECONDS, TimeUnit.SECONDS)
        .values()
        .forEach(description -> byProducer.put(description.producerId(), description));
    return byProducer;
  }

  private void end(Open open) throws InterruptedException, TimeoutException {
    String subject = subject(open);
    try {
      admin
          .abortTransaction(
              new AbortTransactionSpec(
                  open.partition(),
                  open.producerId(),
                  (short) open.epoch(),
                  open.coordinatorEpoch()))
          .all()
          .get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      alarms.clear(subject);
      LOG.warn("{}: ended a transaction that its coordinator had forgotten: {}", subject, open);
    } catch (ExecutionException e) {
      alarms.raise(
          subject,
          "%s: %s is forgotten by its coordinator and holds up this host; it could not be ended (%s): allow Alter on the cluster, or run kafka-transactions abort"
              .formatted(applicationId, open, e.getCause()));
    }
  }
}
