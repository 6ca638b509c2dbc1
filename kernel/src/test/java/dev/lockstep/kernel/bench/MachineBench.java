package dev.lockstep.kernel.bench;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.Replay;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.TopicSpec;
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
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;

/** Runs a machine on one partition, in virtual time, without a broker; every turn twice. */
public final class MachineBench {

  /** An effect, decoded. */
  public record Effect(String topic, int partition, String key, Object value) {}

  private final MachineSpec machine;
  private final int partition;
  private final SingleObjectCodec codec;
  private final Replay replay;
  private final List<Effect> effects = new ArrayList<>();
  private long time = 1_700_000_000_000L;
  private long offset;

  public MachineBench(MachineSpec machine, int partition, InputPlan plan) {
    this.machine = machine;
    this.partition = partition;
    this.codec = new SingleObjectCodec(machine.catalog().and(KernelSchemas.CATALOG));
    this.replay = new Replay(machine, partition);
    send(layout(plan));
  }

  public static Layout layout(InputPlan plan) {
    List<Destination> destinations = new ArrayList<>();
    for (TopicSpec spec : plan.destinations()) {
      destinations.add(new Destination(spec.name(), spec.partitions(), plan.maxBytes()));
    }
    Map<String, Long> limits = new HashMap<>(plan.limits());
    return new Layout(
        plan.topic().name(),
        "topic-id",
        1,
        plan.topic().partitions(),
        plan.tickMillis(),
        plan.logicVersion(),
        plan.schemas(),
        destinations,
        limits);
  }

  /** Appends a record 1 ms after the last one; returns its effects. */
  public List<Effect> send(Object value) {
    return sendBytes(codec.encode(value));
  }

  public List<Effect> sendBytes(byte[] value) {
    time++;
    List<Effect> caused = new ArrayList<>();
    for (Announcement effect : replay.apply(record(value))) {
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

  /** Lets time pass, with a tick every 200 ms. */
  public List<Effect> advance(Duration duration) {
    List<Effect> caused = new ArrayList<>();
    long end = time + duration.toMillis();
    while (time < end) {
      time = Math.min(end, time + 200) - 1;
      caused.addAll(send(new Tick("bench")));
    }
    return caused;
  }

  public List<Effect> effects() {
    return effects;
  }

  /** Returns all effects of a type. */
  public <T> List<T> effects(Class<T> type) {
    return effects.stream().map(Effect::value).filter(type::isInstance).map(type::cast).toList();
  }

  public long nextOffset() {
    return offset;
  }

  /** Returns the number of rows, the host's own left out. */
  public long machineRows() {
    return replay.rows().keySet().stream().filter(key -> key[0] == 1).count();
  }

  private ConsumerRecord<byte[], byte[]> record(byte[] value) {
    return new ConsumerRecord<>(
        machine.inputTopic(),
        partition,
        offset++,
        time,
        TimestampType.LOG_APPEND_TIME,
        0,
        value.length,
        new byte[0],
        value,
        new RecordHeaders(),
        Optional.of(0));
  }
}
