package dev.lockstep.benchmark.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.benchmark.report.Measured.Subject;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ReportTest {

  @TempDir Path directory;

  @Test
  void systemsUnderDifferentWorkloadsAreDrawnSideBySide() throws Exception {
    Path file = directory.resolve("rates.svg");

    new Report(Map.of(), Map.of(), List.of(rate("quick", "much", 50_000), rate("slow", "less", 70)))
        .draw("rate", "Rates", file);

    assertThat(file).content().contains("<svg").doesNotContain("NaN");
  }

  private static Measured rate(String system, String workload, double value) {
    return Measured.of(new Subject(system, "only", workload, "rate"), "1/s", List.of(value));
  }
}
