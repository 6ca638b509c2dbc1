package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.report.Measured;
import dev.lockstep.benchmark.report.Measured.Subject;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/** Measures systems in turns: in each round every variant of every system once. */
final class LocksRun {

  /**
   * What came of it.
   *
   * @param lines all figures
   * @param violations keys that had two holders, and clients that failed
   */
  record Result(List<Measured> lines, List<String> violations) {}

  private static final Workload WARM_UP = new Workload(64, 1_000);

  private final List<LockSystem> systems;
  private final List<String> variants;
  private final Duration slice;
  private final int rounds;
  private final Consumer<String> progress;
  private final Map<Subject, List<Double>> values = new LinkedHashMap<>();
  private final List<String> violations = new ArrayList<>();

  LocksRun(
      List<LockSystem> systems,
      List<String> variants,
      Duration slice,
      int rounds,
      Consumer<String> progress) {
    this.systems = systems;
    this.variants = variants;
    this.slice = slice;
    this.rounds = rounds;
    this.progress = progress;
  }

  /** Lets every variant work for a while, unmeasured: cold JVMs say nothing about anybody. */
  void warmUp(Duration each) throws InterruptedException {
    if (each.isZero()) {
      return;
    }
    for (LockSystem system : systems) {
      for (String variant : variants(system)) {
        progress.accept("warming up " + system.name() + " " + variant);
        try (LockDriver driver = system.connect(variant, WARM_UP.clients())) {
          var unused = new ClosedLoop(WARM_UP, driver, "warm-").run(Duration.ZERO, each);
        } catch (InterruptedException e) {
          throw e;
        } catch (Exception e) {
          violations.add("warming up %s %s: %s".formatted(system.name(), variant, e));
        }
      }
    }
  }

  private List<String> variants(LockSystem system) {
    return system.variants().stream()
        .filter(variant -> variants.isEmpty() || variants.contains(variant))
        .toList();
  }

  Result run(List<Workload> workloads) throws InterruptedException {
    for (Workload workload : workloads) {
      for (int round = 1; round <= rounds; round++) {
        for (LockSystem system : systems) {
          for (String variant : variants(system)) {
            measure(workload, round, system, variant);
          }
        }
      }
    }
    List<Measured> lines = new ArrayList<>();
    values.forEach(
        (subject, rounded) ->
            lines.add(
                Measured.of(subject, subject.metric().endsWith("_ms") ? "ms" : "1/s", rounded)));
    return new Result(lines, violations);
  }

  private void measure(Workload workload, int round, LockSystem system, String variant)
      throws InterruptedException {
    String what = "%s, round %d, %s %s".formatted(workload.name(), round, system.name(), variant);
    ClosedLoop.Outcome outcome;
    try (LockDriver driver = system.connect(variant, workload.clients())) {
      // keys of a workload's own: nobody meets what another one left
      String prefix = "bench-" + workload.clients() + "-" + workload.keys() + "-";
      outcome = new ClosedLoop(workload, driver, prefix).run(slice.dividedBy(5), slice);
    } catch (InterruptedException e) {
      throw e;
    } catch (Exception e) {
      violations.add(what + ": could not be measured: " + e);
      return;
    }
    double rate = outcome.grants() / outcome.seconds();
    double p50 = outcome.latency().getValueAtPercentile(50) / 1e3;
    double p99 = outcome.latency().getValueAtPercentile(99) / 1e3;
    note(workload, system, variant, "grants_per_second", rate);
    note(workload, system, variant, "acquire_p50_ms", p50);
    note(workload, system, variant, "acquire_p99_ms", p99);
    progress.accept(
        "%-64s %,9.0f grants/s  p50 %8.2f ms  p99 %8.2f ms".formatted(what, rate, p50, p99));
    if (outcome.overlaps() > 0) {
      violations.add(what + ": a key had two holders " + outcome.overlaps() + " times");
    }
    if (outcome.errors() > 0) {
      violations.add(
          "%s: %d errors, such as %s".formatted(what, outcome.errors(), outcome.firstError()));
    }
  }

  private void note(
      Workload workload, LockSystem system, String variant, String metric, double value) {
    values
        .computeIfAbsent(
            new Subject(system.name(), variant, workload.name(), metric),
            subject -> new ArrayList<>())
        .add(value);
  }
}
