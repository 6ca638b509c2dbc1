package dev.lockstep.kernel;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.internal.streams.StreamsSettings;
import dev.lockstep.kernel.internal.streams.TopicDump;
import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

/**
 * Compares what stands in the topics with a replay of the input topic: effects after repeats are
 * dropped, in order, in every destination partition; and the committed state.
 */
public final class ReplayAudit {

  private final MachineSpec machine;
  private final LockstepConfig config;

  /**
   * Prepares an audit.
   *
   * @param machine what ran
   * @param config how to reach Kafka
   */
  public ReplayAudit(MachineSpec machine, LockstepConfig config) {
    this.machine = machine;
    this.config = config;
  }

  /**
   * What an audit found.
   *
   * @param records input records that were replayed
   * @param effects effects of the replay
   * @param repeats records in the destinations that were repeats
   * @param differences one line each; empty when all is well
   */
  public record Result(long records, long effects, long repeats, List<String> differences) {}

  /**
   * Runs the audit. Hosts may run, but must have caught up.
   *
   * @return what was found
   */
  public Result run() {
    try (TopicDump dump = new TopicDump(config)) {
      return run(dump);
    }
  }

  private Result run(TopicDump dump) {
    Layout layout = requireNonNull(dump.layout(machine.inputTopic()));
    List<String> differences = new ArrayList<>();
    Map<TopicPartition, List<Announcement>> expected = new HashMap<>();
    long records = 0;
    long effects = 0;
    for (int i = 0; i < layout.getPartitions(); i++) {
      Replay replay = new Replay(machine, i);
      TopicPartition input = new TopicPartition(machine.inputTopic(), i);
      List<ConsumerRecord<byte[], byte[]>> log = dump.read(input);
      Map<byte[], byte[]> committed = dump.changelog(applicationId(layout), i);
      long committedAt = TopicDump.nextOffsetOf(committed);
      for (ConsumerRecord<byte[], byte[]> record : log) {
        if (record.offset() == committedAt) {
          compareState(input, committed, replay, differences);
        }
        replay.apply(record);
      }
      if (replay.nextOffset() == committedAt) {
        compareState(input, committed, replay, differences);
      }
      records += log.size();
      effects += replay.effects().size();
      for (Announcement effect : replay.effects()) {
        expected
            .computeIfAbsent(
                new TopicPartition(effect.topic(), effect.partition()), p -> new ArrayList<>())
            .add(effect);
      }
    }
    long repeats = 0;
    for (Destination destination : layout.getDestinations()) {
      for (int i = 0; i < destination.getPartitions(); i++) {
        TopicPartition partition = new TopicPartition(destination.getTopic(), i);
        repeats +=
            compare(
                dump, partition, expected.getOrDefault(partition, List.of()), layout, differences);
      }
    }
    return new Result(records, effects, repeats, differences);
  }

  private String applicationId(Layout layout) {
    return StreamsSettings.applicationId(config, machine, layout.getTopicEpoch());
  }

  private static void compareState(
      TopicPartition input,
      Map<byte[], byte[]> committed,
      Replay replay,
      List<String> differences) {
    NavigableMap<byte[], byte[]> rows = replay.rows();
    if (rows.size() != committed.size()) {
      differences.add(
          "%s: committed state has %d rows, the replay to offset %d has %d"
              .formatted(input, committed.size(), replay.nextOffset(), rows.size()));
    }
    rows.forEach(
        (key, value) -> {
          if (!Arrays.equals(value, committed.get(key))) {
            differences.add(
                "%s: committed row '%s' differs from the replay to offset %d: %s, expected %s"
                    .formatted(
                        input,
                        new String(key, StandardCharsets.UTF_8),
                        replay.nextOffset(),
                        TopicDump.describe(key, committed.get(key)),
                        TopicDump.describe(key, value)));
          }
        });
  }

  /** Compares per source partition: only there is an order promised. Returns repeats. */
  private long compare(
      TopicDump dump,
      TopicPartition destination,
      List<Announcement> expected,
      Layout layout,
      List<String> differences) {
    Map<Integer, PositionMark> marks = new HashMap<>();
    Map<Integer, List<String>> taken = new HashMap<>();
    long repeats = 0;
    for (ConsumerRecord<byte[], byte[]> record : dump.read(destination)) {
      EffectPosition position = EffectPosition.of(record.headers());
      if (position == null
          || !position.topic().equals(layout.getTopic())
          || position.epoch() != layout.getTopicEpoch()) {
        continue;
      }
      switch (PositionMark.judge(marks.get(position.partition()), position)) {
        case TAKE -> {}
        case TAKE_AFTER_HOLE ->
            differences.add(
                "%s: hole before %s at offset %d"
                    .formatted(destination, position.format(), record.offset()));
        case REPEAT -> {
          repeats++;
          continue;
        }
        case REWRITTEN -> {
          differences.add(
              "%s: rewritten source at offset %d: %s"
                  .formatted(destination, record.offset(), position.format()));
          continue;
        }
      }
      marks.put(position.partition(), PositionMark.at(position));
      taken.computeIfAbsent(position.partition(), p -> new ArrayList<>()).add(describe(record));
    }
    Map<Integer, List<String>> wanted = new HashMap<>();
    for (Announcement effect : expected) {
      EffectPosition position = EffectPosition.parse(effect.headers().get(0).value());
      wanted.computeIfAbsent(position.partition(), p -> new ArrayList<>()).add(effect.describe());
    }
    for (int source = 0; source < layout.getPartitions(); source++) {
      List<String> should = wanted.getOrDefault(source, List.of());
      List<String> are = taken.getOrDefault(source, List.of());
      String first = firstDifference(should, are);
      if (first != null) {
        differences.add(
            "%s from %s/%d: %d effects, the replay has %d; %s"
                .formatted(
                    destination, layout.getTopic(), source, are.size(), should.size(), first));
      }
    }
    return repeats;
  }

  private static @Nullable String firstDifference(List<String> should, List<String> are) {
    for (int i = 0; i < Math.min(should.size(), are.size()); i++) {
      if (!should.get(i).equals(are.get(i))) {
        return "first difference at %d: expected %s, found %s"
            .formatted(i, should.get(i), are.get(i));
      }
    }
    return should.size() == are.size() ? null : "one is longer";
  }

  private static String describe(ConsumerRecord<byte[], byte[]> record) {
    List<Announcement.HeaderText> headers =
        StreamSupport.stream(record.headers().spliterator(), false)
            .map(ReplayAudit::text)
            .collect(Collectors.toList());
    return new Announcement(
            record.topic(), record.partition(), record.key(), record.value(), headers, false)
        .describe();
  }

  private static Announcement.HeaderText text(Header header) {
    return new Announcement.HeaderText(
        header.key(), new String(header.value(), StandardCharsets.UTF_8));
  }
}
