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
    // each way of each system is drained, with six metrics, or four where the database is another;
    // followed, with two, are all but the limit, and Debezium once
    assertThat(results).hasSize(10 * 6 + 4 + 9 * 2);
    assertThat(results)
        .extracting(line -> line.get("metric").asText())
        .contains(
            "drain_cpu_us_per_row_relay_and_consumer",
            "drain_cpu_us_per_row_broker",
            "drain_cpu_us_per_row_database");
    assertThat(results)
        .extracting(line -> line.get("system").asText())
        .containsOnly("lockstep", "limit", "debezium", "gruelbox", "namastack", "flag-poller");
    assertThat(results)
        .filteredOn(line -> line.get("metric").asText().equals("drain_rows_per_second"))
        .hasSize(11)
        .allSatisfy(
            line -> {
              assertThat(line.get("workload").asText()).isEqualTo("backlog of 1,000 rows");
              assertThat(line.get("median").asDouble()).isPositive();
            });
    // who reads the log leaves no dead rows, who marks or removes each row leaves one or two of it
    assertThat(deadRows(results, "debezium", "streaming")).isZero();
    assertThat(deadRows(results, "flag-poller", "polling")).isEqualTo(1);
    assertThat(deadRows(results, "gruelbox", "unordered")).isEqualTo(2);
    assertThat(Files.readString(directory.resolve("outbox.svg"))).contains("<svg");
  }

  private static double deadRows(JsonNode results, String system, String variant) {
    for (JsonNode line : results) {
      if (line.get("metric").asText().equals("dead_rows_per_row")
          && line.get("system").asText().equals(system)
          && line.get("variant").asText().equals(variant)) {
        return line.get("median").asDouble();
      }
    }
    throw new AssertionError(system + " " + variant + " has no dead_rows_per_row");
  }

  @Test
  void wrongOptionsAreNamedAllAtOnce() {
    assertThat(BenchmarkMain.run("locks", "--seconds=0", "--rounds=0", "--peers=nobody"))
        .isEqualTo(2);
  }
}
