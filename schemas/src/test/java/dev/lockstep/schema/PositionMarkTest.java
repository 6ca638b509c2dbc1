package dev.lockstep.schema;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.schema.EffectPosition.Point;
import dev.lockstep.schema.PositionMark.Verdict;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class PositionMarkTest {

  private static EffectPosition position(int epoch, long offset, int index, int leaderEpoch) {
    return new EffectPosition("in", 3, epoch, offset, index, null, 17L, leaderEpoch);
  }

  @Test
  void headerReadsBack() {
    EffectPosition position =
        new EffectPosition("a/b.topic", 3, 2, 100, 1, new Point(99, 4), 1_700_000_000_000L, 7);

    assertThat(EffectPosition.parse(position.format())).isEqualTo(position);
    assertThat(position.format()).isEqualTo("a/b.topic/3 2.100.1 99.4 1700000000000 7");
  }

  @Test
  void headerOfAnotherShapeIsRefused() {
    assertThatThrownBy(() -> EffectPosition.parse("in/3 1.2"))
        .isInstanceOf(MalformedRecordException.class)
        .hasMessageContaining("'in/3 1.2'");
  }

  @Test
  void dropsWhatIsNotAboveTheMark() {
    PositionMark mark = PositionMark.at(position(1, 10, 2, 5));

    assertThat(PositionMark.judge(mark, position(1, 10, 2, 5))).isEqualTo(Verdict.REPEAT);
    assertThat(PositionMark.judge(mark, position(1, 10, 1, 5))).isEqualTo(Verdict.REPEAT);
    assertThat(PositionMark.judge(mark, position(1, 10, 3, 5))).isEqualTo(Verdict.TAKE);
    assertThat(PositionMark.judge(mark, position(1, 11, 0, 5))).isEqualTo(Verdict.TAKE);
  }

  @Test
  void topicThatWasCreatedAgainIsNotTakenForARepeat() {
    PositionMark mark = PositionMark.at(position(1, 5000, 0, 5));

    assertThat(PositionMark.judge(mark, position(2, 0, 0, 0))).isEqualTo(Verdict.TAKE);
  }

  @Test
  void rewrittenSourceLogRaisesAnAlarm() {
    PositionMark mark = PositionMark.at(position(1, 999, 0, 5));

    assertThat(PositionMark.judge(mark, position(1, 950, 0, 6))).isEqualTo(Verdict.REWRITTEN);
  }

  @Test
  void missingPredecessorRaisesAnAlarm() {
    PositionMark mark = PositionMark.at(position(1, 10, 0, 5));
    EffectPosition next = new EffectPosition("in", 3, 1, 20, 0, new Point(15, 0), 17L, 5);

    assertThat(PositionMark.judge(mark, next)).isEqualTo(Verdict.TAKE_AFTER_HOLE);
  }

  @Property
  void anyMergeOfRunsGivesEachEffectOnceInOrder(@ForAll long seed) {
    Random random = new Random(seed);
    int effects = 1 + random.nextInt(60);
    List<Long> log = mergeOfRuns(random, effects);

    PositionMark mark = null;
    List<Long> taken = new ArrayList<>();
    for (long offset : log) {
      EffectPosition position = position(1, offset, 0, 1);
      if (PositionMark.judge(mark, position) == Verdict.TAKE) {
        taken.add(offset);
        mark = PositionMark.at(position);
      }
    }

    assertThat(taken).isSorted().doesNotHaveDuplicates().hasSize(effects);
  }

  /** Owners, zombies and successors: each run is contiguous and begins at or before the end. */
  private static List<Long> mergeOfRuns(Random random, int effects) {
    List<Long> log = new ArrayList<>();
    long end = 0;
    List<long[]> runs = new ArrayList<>();
    while (end < effects) {
      if (runs.isEmpty() || random.nextInt(5) == 0) {
        runs.add(new long[] {random.nextInt((int) end + 1)});
      }
      long[] run = runs.get(random.nextInt(runs.size()));
      if (run[0] < effects) {
        log.add(run[0]);
        end = Math.max(end, run[0] + 1);
        run[0]++;
      }
    }
    return log;
  }
}
