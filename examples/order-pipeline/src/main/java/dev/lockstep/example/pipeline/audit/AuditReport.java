package dev.lockstep.example.pipeline.audit;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import dev.lockstep.example.pipeline.audit.Evidence.SagaEnd;
import dev.lockstep.example.pipeline.audit.Evidence.SagaFacts;
import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.schema.saga.EndStatus;
import java.io.IOException;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.LongSummaryStatistics;
import java.util.Map;
import java.util.TreeMap;
import org.apache.commons.csv.CSVFormat;
import org.apache.commons.csv.CSVPrinter;
import org.jspecify.annotations.Nullable;

/** What a run came to: figures, violations, and the files of the report. */
public final class AuditReport {

  private final Evidence evidence;
  private final List<String> violations;
  private final Map<String, @Nullable Double> recovery;

  /**
   * Makes a report.
   *
   * @param evidence what was looked at
   * @param recovery seconds from a kill to the next step, by process; null: it had nothing more to
   *     do; empty without kills
   */
  public AuditReport(Evidence evidence, Map<String, @Nullable Double> recovery) {
    this.evidence = evidence;
    this.violations = Checks.violations(evidence);
    this.recovery = recovery;
  }

  /** Returns all violations. */
  public List<String> violations() {
    return violations;
  }

  /** Returns the figures by name, as {@code audit.json} has them. */
  public Map<String, Object> figures() {
    List<Invoice> usable = evidence.invoices().stream().filter(Invoice::isUsable).toList();
    long lines =
        evidence.invoices().stream().mapToLong(i -> i.lines().size() + i.rejected().size()).sum();
    double seconds = seconds();
    Map<String, Object> figures = new LinkedHashMap<>();
    figures.put("input_lines", lines);
    figures.put("orders", usable.stream().filter(i -> !i.isReturn()).count());
    figures.put("returns", usable.stream().filter(Invoice::isReturn).count());
    figures.put("completed", count(EndStatus.COMPLETED));
    figures.put("compensated", count(EndStatus.COMPENSATED));
    figures.put("parked", count(EndStatus.PARKED));
    figures.put("rejected_lines", evidence.rejectedLines().size());
    figures.put("rejected_invoices", evidence.rejectedInvoices().size());
    figures.put("reasons", reasons());
    figures.put("lock_grants", evidence.locks().stream().filter(l -> l.granted()).count());
    figures.put("violations", violations);
    figures.put("duration_seconds", seconds);
    figures.put("sagas_per_second", seconds == 0 ? 0 : Math.round(ended() / seconds * 10) / 10.0);
    figures.put("saga_latency_ms", latencies());
    figures.put("seconds_from_kill_to_next_step", recovery);
    return figures;
  }

  /** Writes audit.json, rejected.csv and timelines.html. */
  public void write(Path directory) throws IOException {
    Files.createDirectories(directory);
    new ObjectMapper()
        .enable(SerializationFeature.INDENT_OUTPUT)
        .writeValue(directory.resolve("audit.json").toFile(), figures());
    try (Writer writer =
            Files.newBufferedWriter(directory.resolve("rejected.csv"), StandardCharsets.UTF_8);
        CSVPrinter csv =
            new CSVPrinter(
                writer,
                CSVFormat.DEFAULT.builder().setHeader("line", "invoice", "reason", "text").get())) {
      for (Invoice invoice : evidence.invoices()) {
        for (Invoice.RejectedLine line : invoice.rejected()) {
          csv.printRecord(line.number(), line.invoice(), line.reason(), line.text());
        }
        if (!invoice.isUsable()) {
          csv.printRecord("", invoice.id(), "invoice without a usable line", "");
        }
      }
    }
    Files.writeString(
        directory.resolve("timelines.html"), Timelines.html(evidence.sagas().values()));
  }

  private long count(EndStatus status) {
    return evidence.sagas().values().stream()
        .filter(s -> !s.ends().isEmpty() && s.ends().get(0).status() == status)
        .count();
  }

  private long ended() {
    return evidence.sagas().values().stream().filter(s -> !s.ends().isEmpty()).count();
  }

  /** From the first start to the last end, by the log's time, as the latencies are. */
  private double seconds() {
    LongSummaryStatistics starts = new LongSummaryStatistics();
    LongSummaryStatistics ends = new LongSummaryStatistics();
    for (SagaFacts saga : evidence.sagas().values()) {
      if (!saga.ends().isEmpty()) {
        starts.accept(saga.startedAt());
        ends.accept(saga.ends().get(0).at());
      }
    }
    return ends.getCount() == 0 ? 0 : Math.max(1, ends.getMax() - starts.getMin()) / 1e3;
  }

  /** Counts why sagas did not complete, by step. */
  private Map<String, Long> reasons() {
    Map<String, Long> reasons = new TreeMap<>();
    for (SagaFacts saga : evidence.sagas().values()) {
      for (SagaEnd end : saga.ends()) {
        if (end.status() != EndStatus.COMPLETED) {
          String reason = end.reason().replaceAll("[:,(].*", "").replaceAll("\\d+", "#");
          reasons.merge(end.status() + " at " + end.step() + ": " + reason, 1L, Long::sum);
        }
      }
    }
    return reasons;
  }

  private Map<String, Long> latencies() {
    long[] sorted =
        evidence.sagas().values().stream()
            .filter(s -> !s.ends().isEmpty())
            .mapToLong(s -> s.ends().get(0).at() - s.startedAt())
            .sorted()
            .toArray();
    Map<String, Long> latencies = new LinkedHashMap<>();
    for (int percent : new int[] {50, 95, 99}) {
      int index = Math.min(sorted.length - 1, sorted.length * percent / 100);
      latencies.put("p" + percent, sorted.length == 0 ? 0 : sorted[index]);
    }
    return latencies;
  }
}
