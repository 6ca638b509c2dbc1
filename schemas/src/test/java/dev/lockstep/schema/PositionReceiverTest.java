package dev.lockstep.schema;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.schema.EffectPosition.Point;
import dev.lockstep.schema.PositionMark.Verdict;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.junit.jupiter.api.Test;

class PositionReceiverTest {

  private static final int SOURCES = 3;
  private static final int DESTINATIONS = 2;

  /** One effect of a source, for a destination partition. */
  private record Effect(int source, int destination, long offset, int index, Point previous) {}

  private static ConsumerRecord<byte[], byte[]> record(Effect effect) {
    EffectPosition position =
        new EffectPosition(
            "in", effect.source(), 1, effect.offset(), effect.index(), effect.previous(), 17L, 1);
    RecordHeaders headers = new RecordHeaders();
    headers.add(LockstepHeaders.POSITION, LockstepHeaders.bytes(position.format()));
    return new ConsumerRecord<>(
        "out",
        effect.destination(),
        0,
        0,
        TimestampType.CREATE_TIME,
        0,
        0,
        new byte[0],
        new byte[0],
        headers,
        Optional.of(1));
  }

  /**
   * Several sources write to several partitions, each in contiguous runs that begin at or before
   * the end of what has landed; one destination partition stands still until the others are done.
   */
  @Property
  void severalSourcesAndPartitionsGiveEachEffectOnceInOrder(@ForAll long seed) {
    Random random = new Random(seed);
    List<List<ConsumerRecord<byte[], byte[]>>> topic = new ArrayList<>();
    Map<String, List<Effect>> expected = new HashMap<>();
    for (int destination = 0; destination < DESTINATIONS; destination++) {
      topic.add(new ArrayList<>());
    }
    List<List<Effect>> bySource = new ArrayList<>();
    for (int source = 0; source < SOURCES; source++) {
      List<Effect> effects = effects(random, source);
      bySource.add(effects);
      effects.forEach(
          e ->
              expected
                  .computeIfAbsent(e.source() + ">" + e.destination(), k -> new ArrayList<>())
                  .add(e));
    }
    announce(random, bySource, topic);

    PositionReceiver receiver = new PositionReceiver();
    Map<String, List<Effect>> taken = new HashMap<>();
    int stalled = random.nextInt(DESTINATIONS);
    int[] next = new int[DESTINATIONS];
    while (true) {
      int destination = random.nextInt(DESTINATIONS);
      boolean othersDone = true;
      for (int d = 0; d < DESTINATIONS; d++) {
        othersDone &= d == stalled || next[d] == topic.get(d).size();
      }
      if (destination == stalled && !othersDone) {
        continue;
      }
      if (next[destination] == topic.get(destination).size()) {
        if (othersDone && next[stalled] == topic.get(stalled).size()) {
          break;
        }
        continue;
      }
      ConsumerRecord<byte[], byte[]> record = topic.get(destination).get(next[destination]++);
      Verdict verdict = receiver.receive(record);
      assertThat(verdict).isIn(Verdict.TAKE, Verdict.REPEAT);
      if (verdict == Verdict.TAKE) {
        EffectPosition position = EffectPosition.of(record.headers());
        String path = position.partition() + ">" + destination;
        taken
            .computeIfAbsent(path, k -> new ArrayList<>())
            .add(
                new Effect(
                    position.partition(),
                    destination,
                    position.offset(),
                    position.index(),
                    position.previous()));
      }
    }

    assertThat(taken).isEqualTo(expected);
  }

  @Test
  void receiverThatForgotSeesSomeAgainAndMissesNone() {
    PositionReceiver receiver = new PositionReceiver();
    Effect first = new Effect(0, 0, 5, 0, null);
    Effect second = new Effect(0, 0, 6, 0, new Point(5, 0));
    receiver.receive(record(first));
    receiver.receive(record(second));

    receiver.forget("out", 0);

    assertThat(receiver.receive(record(first))).isEqualTo(Verdict.TAKE);
    assertThat(receiver.receive(record(second))).isEqualTo(Verdict.TAKE);
  }

  private static List<Effect> effects(Random random, int source) {
    Map<Integer, Point> last = new HashMap<>();
    List<Effect> effects = new ArrayList<>();
    for (long offset = 1; offset < 15; offset++) {
      int count = random.nextInt(4);
      for (int index = 0; index < count; index++) {
        int destination = random.nextInt(DESTINATIONS);
        effects.add(new Effect(source, destination, offset, index, last.get(destination)));
        last.put(destination, new Point(offset, index));
      }
    }
    return effects;
  }

  /** Owners, zombies and successors of every source, merged in any order. */
  private static void announce(
      Random random,
      List<List<Effect>> bySource,
      List<List<ConsumerRecord<byte[], byte[]>>> topic) {
    int[] ends = new int[SOURCES];
    List<int[]> runs = new ArrayList<>();
    while (true) {
      boolean done = true;
      for (int source = 0; source < SOURCES; source++) {
        done &= ends[source] == bySource.get(source).size();
      }
      if (done) {
        return;
      }
      if (runs.isEmpty() || random.nextInt(6) == 0) {
        int source = random.nextInt(SOURCES);
        runs.add(new int[] {source, random.nextInt(ends[source] + 1)});
      }
      int[] run = runs.get(random.nextInt(runs.size()));
      List<Effect> effects = bySource.get(run[0]);
      if (run[1] < effects.size()) {
        Effect effect = effects.get(run[1]++);
        topic.get(effect.destination()).add(record(effect));
        ends[run[0]] = Math.max(ends[run[0]], run[1]);
      }
    }
  }
}
