package dev.lockstep.testkit.machine;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.Replay;
import dev.lockstep.kernel.Store;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Tick;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/**
 * One input partition in virtual time, with a machine that folds it; no broker, no thread, no
 * clock.
 *
 * <p>Every turn runs twice and both runs must agree; {@link DoubleExecution} asks another JVM as
 * well. Offset 0 is the Layout of the plan, with epoch 1. Not thread-safe.
 */
public final class VirtualPartition {

  /** Log time of the Layout, ms since the epoch. */
  public static final long BEGIN = 1_700_000_000_000L;

  private static final long TICK_MS = 200;

  /**
   * An effect, decoded.
   *
   * @param topic destination
   * @param partition partition of it
   * @param key record key
   * @param value record of the machine's catalog
   */
  public record Effect(String topic, int partition, String key, Object value) {}

  private final MachineSpec machine;
  private final int partition;
  private final SingleObjectCodec codec;
  private final Replay replay;
  private final List<ConsumerRecord<byte[], byte[]>> log = new ArrayList<>();
  private final List<Effect> effects = new ArrayList<>();
  private long time = BEGIN - 1;

  /**
   * Makes a partition that holds the Layout and nothing else.
   *
   * @param machine what folds it
   * @param partition its number
   * @param plan topics, limits and tick that the Layout lists
   */
  public VirtualPartition(MachineSpec machine, int partition, InputPlan plan) {
    this(machine, partition, plan, 1);
  }

  /**
   * Makes a partition of a topic that was created again.
   *
   * @param machine what folds it
   * @param partition its number
   * @param plan topics, limits and tick that the Layout lists
   * @param topicEpoch epoch in the Layout
   */
  public VirtualPartition(MachineSpec machine, int partition, InputPlan plan, int topicEpoch) {
    this.machine = machine;
    this.partition = partition;
    this.codec = new SingleObjectCodec(machine.catalog().and(KernelSchemas.CATALOG));
    this.replay = new Replay(machine, partition);
    send(layout(plan, topicEpoch));
  }

  private static Layout layout(InputPlan plan, int topicEpoch) {
    List<Destination> destinations = new ArrayList<>();
    for (TopicSpec spec : plan.destinations()) {
      destinations.add(new Destination(spec.name(), spec.partitions(), plan.maxBytes()));
    }
    Map<String, Long> limits = new HashMap<>(plan.limits());
    return new Layout(
        plan.topic().name(),
        "topic-id",
        topicEpoch,
        plan.topic().partitions(),
        plan.tickMillis(),
        plan.logicVersion(),
        plan.schemas(),
        destinations,
        limits,
        null);
  }

  /**
   * Appends a record 1 ms after the last one.
   *
   * @param value record of the machine's catalog
   * @return its effects
   * @throws ImpureMachineException when the two runs differ
   */
  public List<Effect> send(Object value) {
    return sendBytes(codec.encode(value));
  }

  /**
   * Appends any bytes 1 ms after the last record, as a broken client would.
   *
   * @param value record value
   * @return its effects
   * @throws ImpureMachineException when the two runs differ
   */
  public List<Effect> sendBytes(byte[] value) {
    return append(value, new RecordHeaders());
  }

  /**
   * Appends an effect of another machine 1 ms after the last record.
   *
   * @param value record of the machine's catalog
   * @param position where it comes from
   * @return its effects; none when it is a repeat
   */
  public List<Effect> send(Object value, EffectPosition position) {
    RecordHeaders headers = new RecordHeaders();
    headers.add(LockstepHeaders.POSITION, position.format().getBytes(StandardCharsets.UTF_8));
    return append(codec.encode(value), headers);
  }

  /**
   * Returns what was taken from each machine that announces to the partition.
   *
   * @return one mark per source partition
   */
  public List<CarriedMark> marks() {
    return replay.marks();
  }

  private List<Effect> append(byte[] value, RecordHeaders headers) {
    time++;
    ConsumerRecord<byte[], byte[]> record = record(value, headers);
    log.add(record);
    List<Effect> caused = new ArrayList<>();
    for (Announcement effect : replay.apply(record)) {
      caused.add(
          new Effect(
              effect.topic(),
              effect.partition(),
              new String(effect.key(), StandardCharsets.UTF_8),
              codec.decode(effect.value())));
    }
    effects.addAll(caused);
    return caused;
  }

  /**
   * Lets time pass, with a tick every 200 ms.
   *
   * @param duration how long
   * @return the effects meanwhile
   */
  public List<Effect> advance(Duration duration) {
    List<Effect> caused = new ArrayList<>();
    long end = time + duration.toMillis();
    while (time < end) {
      time = Math.min(end, time + TICK_MS) - 1;
      caused.addAll(send(new Tick("virtual")));
    }
    return caused;
  }

  /**
   * Returns everything announced so far.
   *
   * @return effects in order
   */
  public List<Effect> effects() {
    return effects;
  }

  /**
   * Returns the effects of one type.
   *
   * @param type record type
   * @param <T> record type
   * @return effects in order
   */
  public <T> List<T> effects(Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  /**
   * Returns the log so far, for a replay elsewhere.
   *
   * @return records from offset 0
   */
  public List<ConsumerRecord<byte[], byte[]>> log() {
    return List.copyOf(log);
  }

  /**
   * Returns the offset that the next record gets.
   *
   * @return number of records
   */
  public long nextOffset() {
    return log.size();
  }

  /**
   * Returns the log time of the last record.
   *
   * @return ms since the epoch
   */
  public long time() {
    return time;
  }

  /**
   * Returns the number of rows of the machine, the host's own left out.
   *
   * @return rows
   */
  public long machineRows() {
    return replay.rows().keySet().stream().filter(key -> key[0] == 1).count();
  }

  /**
   * Reads the machine's state after the last record.
   *
   * @param reader given the machine's rows, read only; must not keep them
   * @param <T> what it returns
   * @return what the reader returned
   */
  public <T> T read(Function<Store, T> reader) {
    return replay.read(reader);
  }

  /**
   * Returns elapsed time at the last record.
   *
   * @return ms since the first record
   */
  public long elapsed() {
    return replay.now().elapsed();
  }

  private ConsumerRecord<byte[], byte[]> record(byte[] value, RecordHeaders headers) {
    return new ConsumerRecord<>(
        machine.inputTopic(),
        partition,
        log.size(),
        time,
        TimestampType.LOG_APPEND_TIME,
        0,
        value.length,
        new byte[0],
        value,
        headers,
        Optional.of(0));
  }
}
