package dev.lockstep.kernel;

import dev.lockstep.kernel.internal.engine.Fold;
import dev.lockstep.kernel.internal.engine.FoldSpec;
import dev.lockstep.kernel.internal.engine.LogRecord;
import dev.lockstep.kernel.internal.engine.MapRows;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.kernel.CarriedMark;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Folds a dumped input partition through a fresh machine: the oracle. What a host announced and
 * committed must equal it, byte for byte. Not thread-safe.
 */
public final class Replay {

  private static final Logger LOG = LoggerFactory.getLogger(Replay.class);

  private final Fold fold;
  private final int partition;
  private final List<Announcement> effects = new ArrayList<>();

  /**
   * Begins a replay at offset 0.
   *
   * @param machine what to run
   * @param partition input partition
   */
  public Replay(MachineSpec machine, int partition) {
    this.partition = partition;
    this.fold =
        Fold.over(
            new FoldSpec(
                machine, partition, FoldSpec.UNWRITTEN_ROWS, true, alarm -> LOG.warn("{}", alarm)),
            new MapRows());
  }

  /**
   * Folds the next record. Holes between offsets are passed: they are markers of transactions.
   *
   * @param record record of the input partition
   * @return its effects
   * @throws ImpureMachineException when the machine decides differently when asked twice
   */
  public List<Announcement> apply(ConsumerRecord<byte[], byte[]> record) {
    fold.skipTo(record.offset());
    List<Announcement> announced =
        fold.apply(
            new LogRecord(
                partition,
                record.offset(),
                record.timestamp(),
                record.leaderEpoch().orElse(-1),
                record.key(),
                record.value(),
                LockstepHeaders.text(record.headers(), LockstepHeaders.POSITION)));
    effects.addAll(announced);
    return announced;
  }

  /**
   * Returns all effects so far.
   *
   * @return effects in order
   */
  public List<Announcement> effects() {
    return effects;
  }

  /**
   * Returns the offset that comes next.
   *
   * @return offset in the input partition
   */
  public long nextOffset() {
    return fold.nextOffset();
  }

  /**
   * Returns what was taken from each machine that announces to the partition.
   *
   * @return one mark per source partition
   */
  public List<CarriedMark> marks() {
    return fold.marks();
  }

  /**
   * Returns log time at the last record.
   *
   * @return elapsed and wall time
   */
  public LogTime now() {
    return fold.now();
  }

  /**
   * Reads the machine's state after the last record.
   *
   * @param reader given the machine's rows, read only; must not keep them
   * @param <T> what it returns
   * @return what the reader returned
   */
  public <T> T read(Function<Store, T> reader) {
    return reader.apply(fold.view());
  }

  /**
   * Returns a copy of the state, the host's own rows included.
   *
   * @return rows in order of their keys
   */
  public NavigableMap<byte[], byte[]> rows() {
    TreeMap<byte[], byte[]> copy = new TreeMap<>(Arrays::compareUnsigned);
    fold.visit(
        row -> {
          copy.put(row.key(), row.value());
          return true;
        });
    return copy;
  }
}
