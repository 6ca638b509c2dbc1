package dev.lockstep.example.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.lockstep.example.pipeline.audit.AuditReport;
import dev.lockstep.example.pipeline.run.Demo;
import dev.lockstep.example.pipeline.run.Kill;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoIT {

  @TempDir Path directory;

  @Test
  void sampleRunsInOneJvmAndPassesItsAudit() throws Exception {
    AuditReport report = run(20, 0.0, List.of());

    assertThat(report.violations()).isEmpty();
    JsonNode json = new ObjectMapper().readTree(directory.resolve("report/audit.json").toFile());
    assertThat(json.path("orders").asInt() + json.path("returns").asInt()).isEqualTo(20);
    assertThat(json.path("completed").asInt()).isGreaterThanOrEqualTo(17);
    assertThat(json.path("parked").asInt()).isZero();
    assertThat(directory.resolve("report/rejected.csv"))
        .content()
        .contains("price is not positive");
    assertThat(directory.resolve("report/timelines.html")).content().contains("COMPLETED after");
    assertThat(directory.resolve("report/lock-granted.jsonl")).isNotEmptyFile();
    assertThat(directory.resolve("report/orders.jsonl")).isNotEmptyFile();
  }

  @Test
  void killedProcessesLeaveNothingHalfDone() throws Exception {
    List<Kill> kills = List.of(Kill.parse("inventory@2"), Kill.parse("orchestrator@4"));

    AuditReport report = run(20, 0.2, kills);

    assertThat(report.violations()).isEmpty();
    JsonNode json = new ObjectMapper().readTree(directory.resolve("report/audit.json").toFile());
    assertThat(json.path("completed").asInt() + json.path("compensated").asInt())
        .isGreaterThanOrEqualTo(19);
    assertThat(json.path("seconds_from_kill_to_next_step").fieldNames())
        .toIterable()
        .containsExactlyInAnyOrder("inventory", "orchestrator");
  }

  private AuditReport run(int orders, double failRate, List<Kill> kills) throws Exception {
    Path input = directory.resolve("sample.csv");
    try (InputStream in = DemoMain.class.getResourceAsStream("/sample/invoices.csv")) {
      Files.copy(in, input);
    }
    Demo.Plan plan =
        new Demo.Plan(
            input,
            orders,
            1,
            failRate,
            !kills.isEmpty(),
            kills,
            directory.resolve("run"),
            directory.resolve("report"));
    try (Demo demo = new Demo(plan, Demo.quiet(phase -> {}))) {
      return demo.run();
    }
  }
}
