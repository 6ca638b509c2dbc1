package dev.lockstep.benchmark.report;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.util.List;

/**
 * One line of a report: a figure of one system under one workload, over several rounds.
 *
 * @param system {@code lockstep}, {@code etcd}, ...
 * @param variant {@code async}, {@code blocking}, {@code follower}, ...
 * @param workload {@code 64 clients, 1000 keys}, ...
 * @param metric {@code grants_per_second}, {@code acquire_p50_ms}, ...
 * @param unit {@code 1/s}, {@code ms}, ...
 * @param median of the rounds
 * @param min of the rounds
 * @param max of the rounds
 */
@JsonPropertyOrder({"system", "variant", "workload", "metric", "unit", "median", "min", "max"})
public record Measured(
    String system,
    String variant,
    String workload,
    String metric,
    String unit,
    double median,
    double min,
    double max) {

  /**
   * Sums up rounds.
   *
   * @param of system, variant, workload and metric
   * @param unit unit of the values
   * @param values one per round, at least one
   * @return the line
   */
  public static Measured of(Subject of, String unit, List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int middle = sorted.size() / 2;
    double median =
        sorted.size() % 2 == 1
            ? sorted.get(middle)
            : (sorted.get(middle - 1) + sorted.get(middle)) / 2;
    return new Measured(
        of.system(),
        of.variant(),
        of.workload(),
        of.metric(),
        unit,
        median,
        sorted.get(0),
        sorted.get(sorted.size() - 1));
  }

  /**
   * What is measured.
   *
   * @param system who
   * @param variant how it is used
   * @param workload under what
   * @param metric what
   */
  public record Subject(String system, String variant, String workload, String metric) {}
}
