package dev.lockstep.benchmark;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A short run of the real thing, beside the one peer that needs no installed package. */
class BenchmarkIT {

  @TempDir Path directory;

  @Test
  void locksAreMeasuredAndReported() throws Exception {
    int code =
        BenchmarkMain.run(
            "locks",
            "--clients=4",
            "--keys=10",
            "--seconds=1",
            "--rounds=2",
            "--warm-up=1",
            "--peers=postgres",
            "--report=" + directory);

    assertThat(code).isZero();
    JsonNode report = new ObjectMapper().readTree(directory.resolve("locks.json").toFile());
    assertThat(report.fieldNames()).toIterable().containsExactly("machine", "versions", "results");
    assertThat(report.get("versions").fieldNames())
        .toIterable()
        .containsExactly("lockstep", "postgres");
    // four variants of ours, one of theirs, three metrics each
    assertThat(report.get("results")).hasSize(15);
    for (JsonNode line : report.get("results")) {
      assertThat(line.fieldNames())
          .toIterable()
          .containsExactly(
              "system", "variant", "workload", "metric", "unit", "median", "min", "max");
      assertThat(line.get("workload").asText()).isEqualTo("4 clients, 10 keys");
      assertThat(line.get("median").asDouble()).isPositive();
      assertThat(line.get("median").asDouble())
          .isBetween(line.get("min").asDouble(), line.get("max").asDouble());
    }
    assertThat(Files.readString(directory.resolve("locks.svg"))).contains("<svg");
  }

  @Test
  void keysThatWereHeldAndReleasedLeaveNothing() {
    assertThat(BenchmarkMain.run("capacity", "--keys=3000", "--heap=128m", "--report=" + directory))
        .isZero();
    assertThat(directory.resolve("capacity.json")).content().contains("releases_per_second");
  }

  @Test
  void outboxesAreMeasuredAndReported() throws Exception {
    int code =
        BenchmarkMain.run(
            "outbox",
            "--rows=1000",
            "--rounds=1",
            "--warm-up=0",
            "--seconds=2",
            "--per-second=50",
            "--report=" + directory);

    assertThat(code).isZero();
    JsonNode results =
        new ObjectMapper().readTree(directory.resolve("outbox.json").toFile()).get("results");
    // two lanes of ours and two others drained, three of them followed: three and two metrics
    assertThat(results).hasSize(4 * 3 + 3 * 2);
    assertThat(Files.readString(directory.resolve("outbox.svg"))).contains("<svg");
  }

  @Test
  void wrongOptionsAreNamedAllAtOnce() {
    assertThat(BenchmarkMain.run("locks", "--seconds=0", "--rounds=0", "--peers=nobody"))
        .isEqualTo(2);
  }
}
