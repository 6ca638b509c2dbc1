package dev.lockstep.outbox.internal.relay;

import static java.util.Objects.requireNonNull;

import dev.lockstep.outbox.OutboxException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.AbortTransactionOptions;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.DescribeProducersOptions;
import org.apache.kafka.clients.admin.DescribeProducersResult;
import org.apache.kafka.clients.admin.DescribeProducersResult.PartitionProducerState;
import org.apache.kafka.clients.admin.DescribeTransactionsOptions;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds transactions of one transactional id that their coordinator calls ended and partitions call
 * open, and ends them (decision 0020). Used by one thread, right after {@code initTransactions}: by
 * then the coordinator has ended all earlier ones, so one that is open under a lower epoch hangs.
 */
final class OpenTransactions {

  /**
   * One that hangs.
   *
   * @param from offset of its first record
   */
  record Hanging(
      TopicPartition partition, long producerId, int epoch, int coordinatorEpoch, long from) {

    /** What an operator runs to end it. */
    String command(String bootstrapServers) {
      return "kafka-transactions.sh --bootstrap-server %s abort --topic %s --partition %d --start-offset %d"
          .formatted(bootstrapServers, partition.topic(), partition.partition(), from);
    }
  }

  /**
   * What one look found.
   *
   * @param denied topics that may not be looked at
   */
  record Look(List<Hanging> hanging, Set<String> denied) {}

  private static final Logger LOG = LoggerFactory.getLogger(OpenTransactions.class);

  /** A partition has a new leader by then, if it gets one soon. */
  private static final Duration ANSWER = Duration.ofSeconds(4);

  private static final int ATTEMPTS = 3;

  private final Admin admin;
  private final String transactionalId;

  OpenTransactions(Admin admin, String transactionalId) {
    this.admin = admin;
    this.transactionalId = transactionalId;
  }

  /** Looks at partitions now. What cannot be seen is not found, and stops nobody. */
  Look look(Collection<TopicPartition> partitions) {
    int millis = (int) ANSWER.toMillis();
    long giveUp = System.nanoTime() + ANSWER.toNanos();
    DescribeProducersResult producers =
        admin.describeProducers(partitions, new DescribeProducersOptions().timeoutMs(millis));
    KafkaFuture<TransactionDescription> own =
        admin
            .describeTransactions(
                List.of(transactionalId), new DescribeTransactionsOptions().timeoutMs(millis))
            .description(transactionalId);
    List<Hanging> hanging = new ArrayList<>();
    Set<String> denied = new TreeSet<>();
    TransactionDescription present = get(own, giveUp, transactionalId, null).orElse(null);
    if (present == null) {
      return new Look(List.of(), Set.of());
    }
    for (TopicPartition partition : partitions) {
      KafkaFuture<PartitionProducerState> result = producers.partitionResult(partition);
      get(result, giveUp, partition.toString(), () -> denied.add(partition.topic()))
          .ifPresent(state -> hanging.addAll(hanging(partition, state, present)));
    }
    return new Look(hanging, denied);
  }

  private static List<Hanging> hanging(
      TopicPartition partition, PartitionProducerState state, TransactionDescription present) {
    return state.activeProducers().stream()
        .filter(
            producer ->
                producer.producerId() == present.producerId()
                    && producer.producerEpoch() < present.producerEpoch()
                    && producer.currentTransactionStartOffset().isPresent())
        .map(producer -> hanging(partition, producer))
        .toList();
  }

  private static Hanging hanging(TopicPartition partition, ProducerState producer) {
    return new Hanging(
        partition,
        producer.producerId(),
        producer.producerEpoch(),
        producer.coordinatorEpoch().orElse(0),
        producer.currentTransactionStartOffset().orElseThrow());
  }

  /** Tells whether it is open still, joined by later ones or not; true when that is not known. */
  boolean isOpen(Hanging one) {
    long giveUp = System.nanoTime() + ANSWER.toNanos();
    DescribeProducersResult producers =
        admin.describeProducers(
            List.of(one.partition()),
            new DescribeProducersOptions().timeoutMs((int) ANSWER.toMillis()));
    return get(producers.partitionResult(one.partition()), giveUp, one.partition().toString(), null)
        .map(
            state ->
                state.activeProducers().stream()
                    .anyMatch(
                        producer ->
                            producer.producerId() == one.producerId()
                                && producer.currentTransactionStartOffset().orElse(-1)
                                    == one.from()))
        .orElse(true);
  }

  /**
   * Ends one as aborted. Nobody can write under its epoch any more.
   *
   * @return why it could not be ended; null: it is
   */
  @Nullable Throwable abort(Hanging one) {
    Throwable failure = null;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
      try {
        admin
            .abortTransaction(
                new AbortTransactionSpec(
                    one.partition(), one.producerId(), (short) one.epoch(), one.coordinatorEpoch()),
                new AbortTransactionOptions().timeoutMs((int) ANSWER.toMillis()))
            .all()
            .get(ANSWER.toMillis(), TimeUnit.MILLISECONDS);
        return null;
      } catch (InterruptedException e) {
        throw interrupted(e);
      } catch (ExecutionException e) {
        failure = requireNonNull(e.getCause());
        if (failure instanceof AuthorizationException) {
          return failure;
        }
      } catch (TimeoutException e) {
        failure = e;
      }
    }
    return failure;
  }

  private static <T> Optional<T> get(
      KafkaFuture<T> answer, long giveUp, String what, @Nullable Runnable denied) {
    try {
      long left = Math.max(1, giveUp - System.nanoTime());
      return Optional.of(answer.get(left, TimeUnit.NANOSECONDS));
    } catch (InterruptedException e) {
      throw interrupted(e);
    } catch (ExecutionException e) {
      if (denied != null && e.getCause() instanceof AuthorizationException) {
        denied.run();
      }
      LOG.debug("Open transactions of {} are not known", what, e);
    } catch (TimeoutException e) {
      LOG.debug("Open transactions of {} are not known", what, e);
    }
    return Optional.empty();
  }

  private static OutboxException interrupted(InterruptedException e) {
    Thread.currentThread().interrupt();
    return new OutboxException("Interrupted while looking at open transactions", e);
  }
}
