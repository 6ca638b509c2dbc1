package dev.lockstep.benchmark.report;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.VectorGraphicsEncoder;
import org.knowm.xchart.VectorGraphicsEncoder.VectorGraphicsFormat;
import org.knowm.xchart.style.Styler;

/**
 * The report of every benchmark: {@code machine}, {@code versions} and {@code results} as JSON, and
 * a chart of one metric.
 *
 * @param machine what it ran on
 * @param versions of everything that was measured
 * @param results one line per system, variant, workload and metric
 */
public record Report(
    Map<String, Object> machine, Map<String, String> versions, List<Measured> results) {

  /**
   * Writes the report as JSON.
   *
   * @param file created or replaced
   * @throws IOException when it cannot be written
   */
  public void writeJson(Path file) throws IOException {
    new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValue(file.toFile(), this);
  }

  /**
   * Draws one metric: one bar per system and variant, grouped by workload; on a logarithmic axis,
   * as systems differ by orders of magnitude.
   *
   * @param metric which one
   * @param title heading
   * @param file SVG, created or replaced
   * @throws IOException when it cannot be written
   */
  public void draw(String metric, String title, Path file) throws IOException {
    List<Measured> lines =
        results.stream().filter(line -> line.metric().equals(metric) && line.median() > 0).toList();
    List<String> workloads = lines.stream().map(Measured::workload).distinct().toList();
    if (workloads.isEmpty()) {
      return;
    }
    Map<String, Map<String, Double>> series = new LinkedHashMap<>();
    for (Measured line : lines) {
      series
          .computeIfAbsent(line.system() + " " + line.variant(), s -> new LinkedHashMap<>())
          .put(line.workload(), line.median());
    }
    CategoryChart chart =
        new CategoryChartBuilder()
            .width(1100)
            .height(600)
            .title(title)
            .yAxisTitle(lines.get(0).unit())
            .build();
    chart.getStyler().setLegendPosition(Styler.LegendPosition.OutsideE);
    chart.getStyler().setYAxisLogarithmic(true);
    double least = lines.stream().mapToDouble(Measured::median).min().orElseThrow();
    chart.getStyler().setYAxisMin(Math.pow(10, Math.floor(Math.log10(least))));
    series.forEach(
        (name, byWorkload) ->
            chart.addSeries(
                name,
                workloads,
                // null where it was not measured: a NaN would get into the drawing
                workloads.stream().map(byWorkload::get).toList()));
    String path = file.toString();
    VectorGraphicsEncoder.saveVectorGraphic(
        chart, path.substring(0, path.length() - ".svg".length()), VectorGraphicsFormat.SVG);
  }
}
