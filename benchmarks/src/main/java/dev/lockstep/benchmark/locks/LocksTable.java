package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.report.Measured;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** The result as text: medians, and ratios against each of the others, best first. */
final class LocksTable {

  private static final String US = "lockstep";

  private final List<Measured> lines;

  LocksTable(List<Measured> lines) {
    this.lines = lines;
  }

  String text() {
    StringBuilder text = new StringBuilder("\nMedians of the rounds (least to most)\n");
    for (String workload : lines.stream().map(Measured::workload).distinct().toList()) {
      text.append('\n').append(workload).append('\n');
      for (Measured rate : of(workload, "grants_per_second")) {
        text.append(
            "  %-16s %-18s %,9.0f grants/s (%,.0f to %,.0f)  p50 %8.2f ms  p99 %8.2f ms%n"
                .formatted(
                    rate.system(),
                    rate.variant(),
                    rate.median(),
                    rate.min(),
                    rate.max(),
                    same(rate, "acquire_p50_ms"),
                    same(rate, "acquire_p99_ms")));
      }
      ratios(workload, text);
    }
    return text.toString();
  }

  private void ratios(String workload, StringBuilder text) {
    Comparator<Measured> byValue = Comparator.comparingDouble(Measured::median);
    List<Measured> rates = of(workload, "grants_per_second");
    Optional<Measured> us = rates.stream().filter(LocksTable::isUs).max(byValue);
    List<Measured> peers =
        rates.stream()
            .filter(line -> !isUs(line) && isBetterStyle(line, rates))
            .sorted(byValue.reversed())
            .toList();
    if (us.isEmpty() || peers.isEmpty()) {
      return;
    }
    text.append("  lockstep %s grants as often as ...%n".formatted(us.get().variant()));
    for (Measured peer : peers) {
      text.append(
          "    %-35s x %5.2f%n"
              .formatted(peer.system() + " " + peer.variant(), us.get().median() / peer.median()));
    }
    if (workload.startsWith("1 client,")) {
      List<Measured> waits = of(workload, "acquire_p50_ms");
      for (Measured own : waits.stream().filter(LocksTable::isUs).toList()) {
        for (String peer : List.of("etcd", "curator")) {
          waits.stream()
              .filter(line -> line.system().equals(peer))
              .min(byValue)
              .ifPresent(
                  line ->
                      text.append(
                          "  p50 of lockstep %s is %.2f times that of %s %s%n"
                              .formatted(
                                  own.variant(),
                                  own.median() / line.median(),
                                  peer,
                                  line.variant())));
        }
      }
    }
  }

  /** Every system is compared at the style of client that it is faster with. */
  private static boolean isBetterStyle(Measured line, List<Measured> rates) {
    return rates.stream()
        .filter(other -> other.system().equals(line.system()))
        .noneMatch(other -> other.median() > line.median());
  }

  private static boolean isUs(Measured line) {
    return line.system().equals(US);
  }

  private List<Measured> of(String workload, String metric) {
    return lines.stream()
        .filter(line -> line.workload().equals(workload) && line.metric().equals(metric))
        .toList();
  }

  private double same(Measured line, String metric) {
    return of(line.workload(), metric).stream()
        .filter(
            other -> other.system().equals(line.system()) && other.variant().equals(line.variant()))
        .mapToDouble(Measured::median)
        .findFirst()
        .orElse(Double.NaN);
  }
}
