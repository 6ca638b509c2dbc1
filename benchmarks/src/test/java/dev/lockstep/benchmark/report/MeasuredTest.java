package dev.lockstep.benchmark.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.benchmark.report.Measured.Subject;
import java.util.List;
import org.junit.jupiter.api.Test;

class MeasuredTest {

  private static final Subject RATE =
      new Subject("etcd", "async", "64 clients, 1 key", "grants_per_second");

  @Test
  void oddRounds() {
    assertThat(Measured.of(RATE, "1/s", List.of(3.0, 1.0, 2.0)))
        .isEqualTo(
            new Measured(
                "etcd", "async", "64 clients, 1 key", "grants_per_second", "1/s", 2, 1, 3));
  }

  @Test
  void evenRounds() {
    assertThat(Measured.of(RATE, "1/s", List.of(4.0, 1.0)).median()).isEqualTo(2.5);
  }
}
