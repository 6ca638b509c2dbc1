package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.Deadlines;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.PartitionStoppedException;
import dev.lockstep.kernel.internal.engine.Fold;
import dev.lockstep.kernel.internal.engine.FoldSpec;
import dev.lockstep.kernel.internal.engine.LogRecord;
import dev.lockstep.kernel.internal.engine.TornStateException;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.SchemaException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.errors.TaskCorruptedException;
import org.apache.kafka.streams.errors.TaskMigratedException;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;
import org.apache.kafka.streams.state.KeyValueStore;
import org.jspecify.annotations.Nullable;

/** One task of Kafka Streams: guard, fold, announce. */
final class MachineProcessor implements Processor<byte[], byte[], Void, Void> {

  static final String STORE = "state";

  /** Deadlines are read from the store at most this often; in between a tick is asked for. */
  private static final long DEADLINES_EVERY_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private final MachineSpec machine;
  private final HostParts parts;
  private @Nullable ProcessorContext<Void, Void> context;
  private @Nullable Fold fold;
  private @Nullable TopicPartition partition;
  private long deadlinesReadAt;

  MachineProcessor(MachineSpec machine, HostParts parts) {
    this.machine = machine;
    this.parts = parts;
  }

  @Override
  public void init(ProcessorContext<Void, Void> context) {
    this.context = context;
    TopicPartition own = new TopicPartition(machine.inputTopic(), context.taskId().partition());
    partition = own;
    if (parts.stopped().contains(own)) {
      return;
    }
    KeyValueStore<Bytes, byte[]> store = context.getStateStore(STORE);
    FoldSpec spec =
        new FoldSpec(
            machine,
            own.partition(),
            parts.unwrittenRows(),
            parts.twice(),
            message -> parts.alarms().raise(own.toString(), message));
    try {
      Fold taken = Fold.over(spec, new StreamsRows(store));
      parts.guard().onAssigned(own, taken.nextOffset());
      SettledStore.in(store).beforeCommit(() -> settle(taken, own));
      fold = taken;
      parts.local().stamp(context.taskId().toString());
      publishDeadlines(taken, own);
    } catch (TornStateException e) {
      if (parts.guard().onTorn(own, -1)) {
        parts.guard().stop(own, e.getMessage() + ", also after it was restored");
        return;
      }
      throw new TaskMigratedException(String.valueOf(e.getMessage()), e);
    } catch (PartitionStoppedException e) {
      parts.guard().stop(own, String.valueOf(e.getMessage()));
    }
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    TopicPartition own = requireNonNull(partition);
    Fold current = fold;
    RecordMetadata metadata = requireNonNull(context).recordMetadata().orElseThrow();
    if (current == null || parts.stopped().contains(own)) {
      // nothing may be folded here; the rebuilt task gets its records again when it goes on
      throw new TaskMigratedException(own + " is stopped");
    }
    if (metadata.offset() != current.nextOffset()) {
      parts.guard().onRecord(own, current.nextOffset(), metadata.offset());
      current.skipTo(metadata.offset());
    }
    List<Announcement> effects = fold(current, own, record, metadata.offset());
    ExpressLane.ofThread().hold(effects);
    parts.meter().folded();
    parts.guard().onProgress(own);
    if (System.nanoTime() - deadlinesReadAt >= DEADLINES_EVERY_NANOS) {
      publishDeadlines(current, own);
    } else {
      // not read from the store now: a tick will come and read them
      parts.ticker().publish(own, current.now(), Deadlines.elapsed(current.now().elapsed()));
    }
  }

  @Override
  public void close() {
    if (partition != null) {
      parts.ticker().remove(partition);
    }
    if (fold != null && context != null) {
      parts.local().stamp(context.taskId().toString());
    }
  }

  private List<Announcement> fold(
      Fold current, TopicPartition own, Record<byte[], byte[]> record, long offset) {
    String leaderEpoch = LockstepHeaders.text(record.headers(), LockstepHeaders.LEADER_EPOCH);
    LogRecord entry =
        new LogRecord(
            own.partition(),
            offset,
            record.timestamp(),
            leaderEpoch == null ? -1 : Integer.parseInt(leaderEpoch),
            record.key(),
            record.value(),
            LockstepHeaders.text(record.headers(), LockstepHeaders.POSITION));
    try {
      return current.apply(entry);
    } catch (PartitionStoppedException | ImpureMachineException e) {
      parts.guard().stop(own, String.valueOf(e.getMessage()));
      throw new TaskMigratedException(String.valueOf(e.getMessage()), e);
    } catch (KafkaException e) {
      throw fromTheStore(own, e);
    } catch (TornStateException e) {
      throw new TaskMigratedException(String.valueOf(e.getMessage()), e);
    } catch (RuntimeException e) {
      String reason =
          "%s: the machine failed at offset %d with %s; mend it and start again: the record stays where it is"
              .formatted(own, offset, e);
      parts.guard().stop(own, reason);
      throw new TaskMigratedException(reason, e);
    }
  }

  private void settle(Fold current, TopicPartition own) {
    try {
      current.settle();
    } catch (SchemaException e) {
      String reason =
          "%s: state before offset %d cannot be written: %s; mend the machine and start again"
              .formatted(own, current.nextOffset(), e.getMessage());
      parts.guard().stop(own, reason);
      throw new TaskMigratedException(reason, e);
    } catch (KafkaException e) {
      throw fromTheStore(own, e);
    } catch (TornStateException e) {
      throw new TaskMigratedException(String.valueOf(e.getMessage()), e);
    }
  }

  /**
   * Returns what to throw for a failure of the store, which is no fault of the machine. Streams
   * knows what to do with most of them, but not with a corrupted task, be it this one or another
   * that shares the producer: it drops the record at hand, and commits what the corrupted task
   * wrote without the offsets of that (4.3.1, decision 0003).
   */
  private static KafkaException fromTheStore(TopicPartition own, KafkaException e) {
    return e instanceof TaskCorruptedException || e instanceof TimeoutException
        ? new TaskMigratedException(
            own + ": a write of the state failed; the fold starts again from the committed state",
            e)
        : e;
  }

  private void publishDeadlines(Fold current, TopicPartition own) {
    deadlinesReadAt = System.nanoTime();
    parts.ticker().publish(own, current.now(), current.deadlines());
  }
}
