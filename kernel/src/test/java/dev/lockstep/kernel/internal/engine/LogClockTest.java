package dev.lockstep.kernel.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.Test;

class LogClockTest {

  private static final long NOW = 1_700_000_000_000L;
  private static final int TICK = 200;

  private LogClock clock = LogClock.startingAt(NOW);

  private void record(long at) {
    clock = clock.advance(at, TICK, false);
  }

  private void tick(long at) {
    clock = clock.advance(at, TICK, true);
  }

  @Test
  void outageCountsTwoTicksAtMost() {
    tick(NOW + 60_000);

    assertThat(clock.elapsed()).isEqualTo(2 * TICK);
  }

  /** Execution K11 of the kernel review: leaders whose clocks differ by 400 ms, in turns. */
  @Test
  void alternatingLeadersDoNotMakeTimeRunAhead() {
    for (int i = 1; i <= 50; i++) {
      long real = NOW + i * 20L;
      tick(i % 2 == 0 ? real + 400 : real);
    }

    assertThat(clock.elapsed()).isLessThanOrEqualTo(50 * 20 + 400);
  }

  @Test
  void largeBackwardStepMovesTheReference() {
    record(NOW - 10_000);
    record(NOW - 9_900);

    assertThat(clock.elapsed()).isEqualTo(100);
  }

  /** Execution K12 of the kernel review: one broker an hour ahead for a moment. */
  @Test
  void wallTimeDoesNotFollowOneWrongBroker() {
    for (int i = 1; i <= 9; i++) {
      tick(NOW + 3_600_000 + i * 200L);
    }
    tick(NOW + 2_000);

    assertThat(clock.wall()).isEqualTo(NOW + 2_000);
  }

  @Test
  void wallTimeJumpsWhenTenTicksAgree() {
    for (int i = 1; i <= 10; i++) {
      tick(NOW + 3_600_000 + i * 200L);
    }

    assertThat(clock.wall()).isEqualTo(NOW + 3_600_000 + 2_000);
  }

  @Property
  void timeOnlyRisesAndNeverFasterThanTwoTicksPerRecord(
      @ForAll @Size(max = 200) int @IntRange(min = -20_000, max = 20_000) [] steps) {
    LogClock at = LogClock.startingAt(NOW);
    long real = NOW;
    for (int step : steps) {
      real += step;
      LogClock next = at.advance(real, TICK, step % 3 == 0);
      assertThat(next.elapsed()).isBetween(at.elapsed(), at.elapsed() + 2 * TICK);
      assertThat(next.wall()).isGreaterThanOrEqualTo(at.wall());
      at = next;
    }
  }
}
