package dev.lockstep.testkit.lock;

import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.UnknownSchemaException;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.Rejected;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

/**
 * Checks a lock log and everything that it caused, after the fact: what the lock service promises
 * must hold of it. Linear in the records, but for a logarithm in the length of queues. Shares no
 * code with the lock machine. Not thread-safe.
 *
 * <p>Checked, by the numbers of the invariants in the lock protocol's reference: I1 holders never
 * exceed a key's capacity; I2 tokens rise; I4 first come, first served within a priority; I5, I6
 * every request ends once, repeats with the same answer; I7 nobody expires while it beats; I8 only
 * the current token releases; I9 a release hands over at once; I13 what one request asks for
 * together is granted together.
 *
 * <p>Feed it the lock log by {@link #command}, and the topics that it writes to (events, replies,
 * rejected, and the lock log itself) by {@link #effect}. Repeats of an effect are expected, and
 * must be equal.
 */
public final class LockChecker {

  /** One record of the log and its effects by index. */
  private static final class Step {
    private @Nullable Object command;
    private boolean noted;
    private long time;
    private final TreeMap<Integer, Object> effects = new TreeMap<>();
    private final TreeMap<Integer, byte[]> bytes = new TreeMap<>();
  }

  private final SingleObjectCodec codec =
      new SingleObjectCodec(LockSchemas.CATALOG.and(KernelSchemas.CATALOG));
  private final Map<Integer, TreeMap<Long, Step>> partitions = new TreeMap<>();
  private final Map<String, PositionMark> marks = new HashMap<>();
  private final List<String> violations = new ArrayList<>();
  private final int topicEpoch;
  private int repeats;

  /** Checks the log of the first topic epoch. */
  public LockChecker() {
    this(1);
  }

  /**
   * Checks the log of a topic epoch; effects of others are passed.
   *
   * @param topicEpoch as the Layout says
   */
  public LockChecker(int topicEpoch) {
    this.topicEpoch = topicEpoch;
  }

  /**
   * Notes a record of the lock log, those of a partition in their order.
   *
   * @param record any record; what does not decode is taken for what the service must reject
   */
  public void command(ConsumerRecord<byte[], byte[]> record) {
    Step step = step(record.partition(), record.offset());
    step.command = isRepeat(record) ? null : decode(record.value());
    if (step.command instanceof CarriedMark mark) {
      marks.put(
          source(record.partition(), mark.getTopic(), mark.getPartition()),
          PositionMark.parse(mark.getMark()));
    }
    step.time = record.timestamp();
    step.noted = true;
  }

  /** A command that travels may come again behind a fail-over; the service passes it then. */
  private boolean isRepeat(ConsumerRecord<byte[], byte[]> record) {
    EffectPosition position = position(record);
    if (position == null) {
      return false;
    }
    String source = source(record.partition(), position.topic(), position.partition());
    if (PositionMark.judge(marks.get(source), position) == PositionMark.Verdict.REPEAT) {
      return true;
    }
    marks.put(source, PositionMark.at(position));
    return false;
  }

  private static String source(int partition, String topic, int source) {
    return partition + " " + topic + "/" + source;
  }

  private static @Nullable EffectPosition position(ConsumerRecord<byte[], byte[]> record) {
    try {
      return EffectPosition.of(record.headers());
    } catch (MalformedRecordException e) {
      return null;
    }
  }

  /**
   * Notes a record of a topic that the lock service writes to. Those of others are passed.
   *
   * @param record any record
   */
  public void effect(ConsumerRecord<byte[], byte[]> record) {
    EffectPosition position = position(record);
    if (position == null
        || position.epoch() != topicEpoch
        || !position.topic().endsWith(LockSchemas.COMMANDS)) {
      return;
    }
    Object value = decode(record.value());
    if (value != null) {
      effect(position.partition(), position.offset(), position.index(), value, record.value());
    }
  }

  /**
   * Notes an effect by its place.
   *
   * @param partition of the lock log
   * @param offset of the record that caused it
   * @param index among the effects of that record
   * @param value decoded record
   * @param bytes encoded record
   */
  public void effect(int partition, long offset, int index, Object value, byte[] bytes) {
    Step step = step(partition, offset);
    byte[] known = step.bytes.putIfAbsent(index, bytes);
    if (known == null) {
      step.effects.put(index, value);
    } else {
      repeats++;
      if (!Arrays.equals(known, bytes)) {
        violations.add(
            "I10: effect %d of offset %d in partition %d was announced as %s and as %s"
                .formatted(index, offset, partition, step.effects.get(index), value));
      }
    }
  }

  /**
   * Goes through everything that was noted.
   *
   * @return what is wrong and what is open
   */
  public Result check() {
    List<String> all = new ArrayList<>(violations);
    List<String> open = new ArrayList<>();
    long commands = 0;
    long grants = 0;
    for (Map.Entry<Integer, TreeMap<Long, Step>> partition : partitions.entrySet()) {
      PartitionCheck check = new PartitionCheck(partition.getKey(), all);
      for (Map.Entry<Long, Step> at : noted(partition.getValue()).entrySet()) {
        Step step = at.getValue();
        boolean rejected = step.effects.values().stream().anyMatch(Rejected.class::isInstance);
        check.begin(at.getKey(), step.time, rejected ? null : step.command);
        step.effects.values().forEach(check::effect);
        check.end();
      }
      commands += partition.getValue().size();
      grants += check.grants();
      open.addAll(check.open());
    }
    return new Result(all, open, commands, grants, repeats);
  }

  /** Without effects of records that came when the log had been read already. */
  private static SortedMap<Long, Step> noted(SortedMap<Long, Step> steps) {
    long end =
        steps.entrySet().stream()
            .filter(step -> step.getValue().noted)
            .mapToLong(step -> step.getKey() + 1)
            .max()
            .orElse(0);
    return steps.headMap(end);
  }

  /**
   * What was found.
   *
   * @param violations one line each; empty when all promises held
   * @param open requests that have not ended: some, while clients run; none, when all have closed
   *     and every time to live has passed (I12)
   * @param records records of the log
   * @param grants keys granted
   * @param repeats effects that came again, equal
   */
  public record Result(
      List<String> violations, List<String> open, long records, long grants, int repeats) {}

  private Step step(int partition, long offset) {
    return partitions
        .computeIfAbsent(partition, p -> new TreeMap<>())
        .computeIfAbsent(offset, o -> new Step());
  }

  private @Nullable Object decode(byte @Nullable [] value) {
    try {
      return value == null ? null : codec.decode(value);
    } catch (MalformedRecordException | UnknownSchemaException e) {
      return null;
    }
  }
}
