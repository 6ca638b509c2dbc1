package dev.lockstep.testkit.outbox;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.testkit.outbox.DeliveryCheck.Report;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class DeliveryCheckTest {

  private static final Map<String, Long> COMMITTED = Map.of("a", 3L, "b b", 1L);

  @Test
  void eachMessageOnceInItsOrderIsClean() {
    Report report = check("a 1", "b b 1", "a 2", "a 3");

    assertThat(report.isClean()).isTrue();
    assertThat(report).isEqualTo(new Report(4, 4, 0, 0, 0, 0, List.of()));
  }

  @Test
  void missingMessageIsFound() {
    Report report = check("a 1", "a 3", "b b 1");

    assertThat(report.missed()).isEqualTo(1);
    assertThat(report.findings()).containsExactly("a 2 is missing");
  }

  @Test
  void repeatIsFound() {
    Report report = check("a 1", "a 2", "a 2", "a 3", "b b 1");

    assertThat(report.duplicates()).isEqualTo(1);
    assertThat(report.inversions()).isZero();
    assertThat(report.isClean()).isFalse();
  }

  @Test
  void inversionIsFound() {
    Report report = check("a 2", "a 1", "a 3", "b b 1");

    assertThat(report.inversions()).isEqualTo(1);
    assertThat(report.missed()).isZero();
  }

  @Test
  void whatWasNeverCommittedIsFound() {
    Report report = check("a 1", "a 2", "a 3", "a 4", "b b 1", "c 1");

    assertThat(report.phantoms()).isEqualTo(2);
  }

  @Test
  void repeatOfARowIsPassedOverWhereRowsMayRepeat() {
    DeliveryCheck check = new DeliveryCheck();
    check.delivered("b b 1", "row-1");
    check.delivered("a 1", "row-2");
    check.delivered("a 2", "row-3");
    check.delivered("a 1", "row-2");
    check.delivered("a 2", "row-3");
    check.delivered("a 3", "row-4");

    assertThat(check.compare(COMMITTED).isClean()).isTrue();
    assertThat(check.delivered()).isEqualTo(4);
  }

  private static Report check(String... delivered) {
    DeliveryCheck check = new DeliveryCheck();
    for (String value : delivered) {
      check.delivered(value);
    }
    return check.compare(COMMITTED);
  }
}
