package dev.lockstep.saga.internal.participant;

import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.SagaException;
import dev.lockstep.saga.internal.engine.SagaMachine;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.PositionReceiver;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.UnknownSchemaException;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.schema.saga.StepReply;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Takes a participant's commands: many in one transaction, one by one when that fails. Offsets are
 * committed behind the database; what comes again meets the barrier.
 *
 * <p>A command that cannot be done is answered with RETRY, which the saga counts; a fault of the
 * surroundings (database, broker, a release that lacks a schema) is waited out. Neither ends the
 * loop.
 */
public final class CommandLoop implements Runnable {

  private static final Logger LOG = LoggerFactory.getLogger(CommandLoop.class);
  private static final int BATCH = 64;
  private static final long FIRST_BACKOFF_MS = 100;
  private static final long LAST_BACKOFF_MS = 1_000;

  /** Classes of SQLSTATE that pass or are mended: connection, roles, missing tables, resources. */
  private static final Set<String> PASSING =
      Set.of("08", "25", "28", "3D", "40", "42", "53", "55", "57", "58", "XX");

  private final Participant participant;
  private final Outbox outbox;
  private final String log;
  private final CommandWork work;
  private final SingleObjectCodec codec = new SingleObjectCodec(SagaMachine.CATALOG);
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final PositionReceiver receiver = new PositionReceiver();
  private volatile boolean stopping;
  private volatile @Nullable String fault;
  private volatile @Nullable String alarm; // does not pass
  private boolean mustRewind; // own thread only

  public CommandLoop(Participant participant, Outbox outbox, LockstepConfig config) {
    this.participant = participant;
    this.outbox = outbox;
    this.log = config.named(SagaSchemas.LOG);
    this.work = new CommandWork(participant);
    Map<String, Object> settings = new HashMap<>(config.client());
    String name = participant.ref().name();
    settings.put("group.id", config.named("lockstep-participant-" + name));
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    settings.put("max.poll.records", BATCH);
    settings.put("session.timeout.ms", "6000");
    settings.put("heartbeat.interval.ms", "1200");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    consumer.subscribe(List.of(config.named(SagaSchemas.commands(name))), new Forgetting());
  }

  public void stop() {
    stopping = true;
    consumer.wakeup();
  }

  public @Nullable String fault() {
    String passing = fault;
    return passing != null ? passing : alarm;
  }

  @Override
  public void run() {
    try (consumer) {
      long backoff = FIRST_BACKOFF_MS;
      while (!stopping) {
        try {
          rewindIfNeeded();
          List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
          consumer.poll(Duration.ofMillis(500)).forEach(records::add);
          take(records);
          fault = null;
          backoff = FIRST_BACKOFF_MS;
        } catch (WakeupException e) {
          return;
        } catch (Throwable e) {
          fault = "Participant '%s': %s".formatted(participant.ref().name(), e);
          LOG.warn("{}; trying again in {} ms", fault, backoff, e);
          mustRewind = true;
          pause(backoff);
          backoff = Math.min(LAST_BACKOFF_MS, backoff * 2);
        }
      }
    }
  }

  private void take(List<ConsumerRecord<byte[], byte[]>> records) throws SQLException {
    List<StepCommand> commands = new ArrayList<>();
    Map<TopicPartition, OffsetAndMetadata> done = new HashMap<>();
    Map<TopicPartition, String> stopped = new LinkedHashMap<>();
    for (ConsumerRecord<byte[], byte[]> record : records) {
      TopicPartition partition = new TopicPartition(record.topic(), record.partition());
      if (stopped.containsKey(partition)) {
        continue;
      }
      try {
        StepCommand command = read(record);
        if (command != null) {
          commands.add(command);
        }
        done.put(partition, new OffsetAndMetadata(record.offset() + 1));
      } catch (UnknownSchemaException e) {
        // not a bad record: a newer release can read it, so nothing behind it may be taken
        stopped.put(partition, String.valueOf(e.getMessage()));
      }
    }
    doBatch(commands);
    if (!done.isEmpty()) {
      consumer.commitSync(done);
    }
    if (!stopped.isEmpty()) {
      throw new SagaException("Commands wait: " + stopped);
    }
  }

  private void doBatch(List<StepCommand> commands) throws SQLException {
    try {
      doAll(commands);
    } catch (SQLException | RuntimeException e) {
      // a deadlock, say: one by one, so that one bad command does not hold up the others
      LOG.info("Participant '{}': one by one after {}", participant.ref().name(), e.toString());
      for (StepCommand command : commands) {
        doOne(command);
      }
    }
  }

  private void doOne(StepCommand command) throws SQLException {
    try {
      doAll(List.of(command));
    } catch (SQLException | RuntimeException e) {
      if (isOfTheSurroundings(e)) {
        throw e;
      }
      LOG.error(
          "Participant '{}': saga {}, step '{}' cannot be done",
          participant.ref().name(),
          command.getSagaId(),
          command.getStep(),
          e);
      outbox.inTransaction(
          (OutboxTransaction tx) -> publish(tx, command, CommandWork.retry(command, e)));
    }
  }

  /**
   * Data, constraint and raised errors are the command's own, and so is what is thrown outside the
   * database: waiting for them to pass would hold up the commands behind.
   */
  private static boolean isOfTheSurroundings(Exception thrown) {
    Throwable cause = thrown;
    while (cause != null && !(cause instanceof SQLException)) {
      cause = cause.getCause();
    }
    if (cause == null) {
      return false;
    }
    String state = ((SQLException) cause).getSQLState();
    return state == null || state.length() < 2 || PASSING.contains(state.substring(0, 2));
  }

  private void doAll(List<StepCommand> commands) throws SQLException {
    if (commands.isEmpty()) {
      return;
    }
    outbox.inTransaction(
        (OutboxTransaction tx) -> {
          for (StepCommand command : commands) {
            StepReply reply = work.run(tx, command);
            if (reply != null) {
              publish(tx, command, reply);
            }
          }
        });
  }

  private void publish(OutboxTransaction tx, StepCommand command, StepReply reply)
      throws SQLException {
    tx.publish(
        OutboxMessage.of(log, command.getSagaId(), codec.encode(reply))
            .withHeader(LockstepHeaders.CE_TYPE, StepReply.class.getName()));
  }

  private @Nullable StepCommand read(ConsumerRecord<byte[], byte[]> record) {
    try {
      PositionMark.Verdict verdict = receiver.receive(record);
      if (verdict == PositionMark.Verdict.TAKE_AFTER_HOLE
          || verdict == PositionMark.Verdict.REWRITTEN) {
        alarm =
            "Participant '%s': %s at %s-%d offset %d: commands were lost, look at the saga log"
                .formatted(
                    participant.ref().name(),
                    verdict,
                    record.topic(),
                    record.partition(),
                    record.offset());
        LOG.error("{}", alarm);
      }
      boolean taken =
          verdict == PositionMark.Verdict.TAKE || verdict == PositionMark.Verdict.TAKE_AFTER_HOLE;
      if (!taken || record.value() == null) {
        return null;
      }
      return codec.decode(record.value()) instanceof StepCommand command ? command : null;
    } catch (MalformedRecordException e) {
      LOG.error(
          "Participant '{}': {}-{} offset {} is skipped: {}",
          participant.ref().name(),
          record.topic(),
          record.partition(),
          record.offset(),
          e.getMessage());
      return null;
    }
  }

  /**
   * After a failure: goes back to what is committed, before anything else is polled, or the next
   * commit would pass over commands that were never done. The receiver must see them as new again.
   */
  private void rewindIfNeeded() {
    if (!mustRewind) {
      return;
    }
    for (TopicPartition partition : consumer.assignment()) {
      receiver.forget(partition.topic(), partition.partition());
      OffsetAndMetadata committed = consumer.committed(Set.of(partition)).get(partition);
      if (committed == null) {
        consumer.seekToBeginning(List.of(partition));
      } else {
        consumer.seek(partition, committed.offset());
      }
    }
    mustRewind = false;
  }

  private static void pause(long millis) {
    try {
      TimeUnit.MILLISECONDS.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  /** Another instance may have gone on meanwhile: marks of lost partitions mean nothing. */
  private final class Forgetting implements ConsumerRebalanceListener {

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
      partitions.forEach(p -> receiver.forget(p.topic(), p.partition()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
      // offsets are committed behind every batch
    }
  }
}
