package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.locks.system.LockstepLocks;
import dev.lockstep.benchmark.report.Machine;
import dev.lockstep.benchmark.report.Measured;
import dev.lockstep.benchmark.report.Measured.Subject;
import dev.lockstep.benchmark.report.Report;
import dev.lockstep.benchmark.server.Scratch;
import dev.lockstep.testkit.kafka.BrokerProfile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code benchmarks/run failover}. */
@Command(
    name = "failover",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Two lock services under load on 200 keys; one is killed with SIGKILL. Printed are the longest"
          + " acquire that was asked around the kill, and p99 of acquires over the kill and without it.",
      "With the tuned broker profile, with the stock one, and with a twin beside the services."
    })
public final class FailoverCommand implements Callable<Integer> {

  private static final int KEYS = 200;
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description = "Kills in each setting. Default: 3.")
  private int rounds;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "20",
      description = "Time over which p99 is taken, with the kill at its begin. Default: 20.")
  private int seconds;

  @Option(
      names = "--report",
      paramLabel = "DIR",
      defaultValue = "benchmark-report",
      description = "Where failover.json goes. Default: benchmark-report.")
  private Path report = Path.of("benchmark-report");

  private final Map<Subject, List<Double>> values = new LinkedHashMap<>();

  /** Made by picocli. */
  public FailoverCommand() {}

  @Override
  public Integer call() throws Exception {
    try (Scratch scratch = Scratch.create()) {
      Path directory = scratch.path();
      measure(directory.resolve("tuned"), "tuned", BrokerProfile.TUNED, false);
      measure(directory.resolve("twin"), "tuned, twin", BrokerProfile.TUNED, true);
      measure(directory.resolve("stock"), "stock", BrokerProfile.STOCK, false);
    }
    List<Measured> lines = new ArrayList<>();
    values.forEach((subject, each) -> lines.add(Measured.of(subject, "ms", each)));
    Files.createDirectories(report);
    new Report(Machine.describe(), Map.of("lockstep", "this build"), lines)
        .writeJson(report.resolve("failover.json"));
    System.out.println("Medians (least to most), ms");
    for (Measured line : lines) {
      System.out.printf(
          "  %-12s %-24s %,9.1f (%,.1f to %,.1f)%n",
          line.variant(), line.metric(), line.median(), line.min(), line.max());
    }
    System.out.println("Report: " + report.toAbsolutePath().normalize());
    return 0;
  }

  private void measure(Path directory, String variant, BrokerProfile profile, boolean twin)
      throws Exception {
    System.out.println("Setting: " + variant);
    try (LockstepLocks locks = new LockstepLocks(directory, profile)) {
      locks.start("left");
      locks.start("right");
      if (twin) {
        locks.start("twin");
      }
      try (LockDriver driver = locks.connect("async", KEYS);
          FailoverLoad load = new FailoverLoad(driver, KEYS)) {
        TimeUnit.SECONDS.sleep(30); // JVMs warm up, partitions settle
        for (int round = 1; round <= rounds; round++) {
          String victim = round % 2 == 1 ? "left" : "right";
          long calm = System.nanoTime();
          TimeUnit.SECONDS.sleep(seconds);
          long killed = System.nanoTime();
          locks.kill(victim);
          TimeUnit.SECONDS.sleep(seconds);
          long end = System.nanoTime();
          List<Double> without = load.latencies(calm, killed - SECOND);
          List<Double> over = load.latencies(killed - SECOND / 2, end - SECOND);
          note(variant, "p99_without_kill_ms", percentile(without, 0.99));
          note(variant, "p99_over_kill_ms", percentile(over, 0.99));
          note(variant, "longest_acquire_ms", percentile(over, 1));
          System.out.printf(
              "  round %d: p99 %.1f ms without, %.1f ms over the kill; longest acquire %,.0f ms%n",
              round, percentile(without, 0.99), percentile(over, 0.99), percentile(over, 1));
          locks.start(victim);
          TimeUnit.SECONDS.sleep(15); // it takes its partitions back
        }
      }
    }
  }

  private void note(String variant, String metric, double value) {
    values
        .computeIfAbsent(
            new Subject("lockstep", variant, "200 clients, 200 keys, one service killed", metric),
            subject -> new ArrayList<>())
        .add(value);
  }

  private static double percentile(List<Double> sorted, double share) {
    return sorted.isEmpty()
        ? Double.NaN
        : sorted.get((int) Math.min(sorted.size() - 1L, Math.round(share * sorted.size())));
  }
}
