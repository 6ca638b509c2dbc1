package dev.lockstep.benchmark.outbox;

import dev.lockstep.benchmark.report.Measured;
import java.util.List;

/** The result as text: medians, and what ours are of each of the others'. */
final class OutboxTable {

  private final List<Measured> lines;

  OutboxTable(List<Measured> lines) {
    this.lines = lines;
  }

  String text() {
    StringBuilder text = new StringBuilder("\nMedians of the rounds (least to most)\n");
    for (String metric : lines.stream().map(Measured::metric).distinct().toList()) {
      text.append('\n').append(metric).append('\n');
      List<Measured> of = lines.stream().filter(line -> line.metric().equals(metric)).toList();
      for (Measured line : of) {
        text.append(
            "  %-14s %-14s %-40s %,12.2f (%,.2f to %,.2f)%n"
                .formatted(
                    line.system(),
                    line.variant(),
                    line.workload(),
                    line.median(),
                    line.min(),
                    line.max()));
      }
      for (Measured own : of.stream().filter(line -> line.system().equals("lockstep")).toList()) {
        for (Measured other : of) {
          if (!other.system().equals("lockstep") && other.median() > 0) {
            text.append(
                "    lockstep %s is %.2f of %s %s%n"
                    .formatted(
                        own.variant(),
                        own.median() / other.median(),
                        other.system(),
                        other.variant()));
          }
        }
      }
    }
    return text.toString();
  }
}
