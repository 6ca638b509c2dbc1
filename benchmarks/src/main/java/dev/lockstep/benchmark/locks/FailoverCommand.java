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
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
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
      "Two lock services under load on 200 keys; one is killed with SIGKILL, or stopped in order and"
          + " started again (rolling). Printed are the longest acquire that was asked around that, and"
          + " p99 of acquires over it and without it.",
      "With the tuned broker profile, with the stock one, and with a twin beside the services."
    })
public final class FailoverCommand implements Callable<Integer> {

  private static final int KEYS = 200;
  private static final int PARTITIONS = 4;
  private static final long SECOND = TimeUnit.SECONDS.toNanos(1);

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description = "Kills or restarts in each setting. Default: 3.")
  private int rounds;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "20",
      description = "Time over which p99 is taken, with the kill at its begin. Default: 20.")
  private int seconds;

  @Option(
      names = "--settings",
      paramLabel = "NAME",
      split = ",",
      description =
          "Only these of kill, kill-twin, kill-stock, rolling, rolling-twin. Default: all.")
  private Set<Setting> settings = EnumSet.allOf(Setting.class);

  @Option(
      names = "--report",
      paramLabel = "DIR",
      defaultValue = "benchmark-report",
      description = "Where failover.json goes. Default: benchmark-report.")
  private Path report = Path.of("benchmark-report");

  /** What is done to which services. */
  enum Setting {
    KILL("tuned", BrokerProfile.TUNED, false, true),
    KILL_TWIN("tuned, twin", BrokerProfile.TUNED, true, true),
    KILL_STOCK("stock", BrokerProfile.STOCK, false, true),
    ROLLING("rolling", BrokerProfile.TUNED, false, false),
    ROLLING_TWIN("rolling, twin", BrokerProfile.TUNED, true, false);

    private final String variant;
    private final BrokerProfile profile;
    private final boolean twin;
    private final boolean kills;

    Setting(String variant, BrokerProfile profile, boolean twin, boolean kills) {
      this.variant = variant;
      this.profile = profile;
      this.twin = twin;
      this.kills = kills;
    }

    @Override
    public String toString() {
      return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
  }

  private final Map<Subject, List<Double>> values = new LinkedHashMap<>();

  /** Made by picocli. */
  public FailoverCommand() {}

  @Override
  public Integer call() throws Exception {
    try (Scratch scratch = Scratch.create()) {
      Path directory = scratch.path();
      for (Setting setting : Setting.values()) {
        if (settings.contains(setting)) {
          measure(directory.resolve(setting.toString()), setting);
        }
      }
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

  private void measure(Path directory, Setting setting) throws Exception {
    System.out.println("Setting: " + setting.variant);
    try (LockstepLocks locks = new LockstepLocks(directory, setting.profile, PARTITIONS)) {
      locks.start("left");
      locks.start("right");
      if (setting.twin) {
        locks.start("twin");
      }
      try (LockDriver driver = locks.connect("async", KEYS);
          FailoverLoad load = new FailoverLoad(driver, KEYS)) {
        TimeUnit.SECONDS.sleep(30); // JVMs warm up, partitions settle
        for (int round = 1; round <= rounds; round++) {
          String victim = round % 2 == 1 ? "left" : "right";
          long calm = System.nanoTime();
          TimeUnit.SECONDS.sleep(seconds);
          long hit = System.nanoTime();
          if (setting.kills) {
            locks.kill(victim);
          } else {
            locks.restart(victim);
          }
          TimeUnit.SECONDS.sleep(seconds);
          long end = System.nanoTime();
          List<Double> without = load.latencies(calm, hit - SECOND);
          List<Double> over = load.latencies(hit - SECOND / 2, end - SECOND);
          note(setting, "p99_before_ms", percentile(without, 0.99));
          note(setting, "p99_over_it_ms", percentile(over, 0.99));
          note(setting, "longest_acquire_ms", percentile(over, 1));
          System.out.printf(
              "  round %d: p99 %.1f ms before, %.1f ms over it; longest acquire %,.0f ms%n",
              round, percentile(without, 0.99), percentile(over, 0.99), percentile(over, 1));
          if (setting.kills) {
            locks.start(victim);
          }
          TimeUnit.SECONDS.sleep(15); // it takes its partitions back
        }
      }
    }
  }

  private void note(Setting setting, String metric, double value) {
    String workload =
        "200 clients, 200 keys, one service " + (setting.kills ? "killed" : "restarted");
    values
        .computeIfAbsent(
            new Subject("lockstep", setting.variant, workload, metric),
            subject -> new ArrayList<>())
        .add(value);
  }

  private static double percentile(List<Double> sorted, double share) {
    return sorted.isEmpty()
        ? Double.NaN
        : sorted.get((int) Math.min(sorted.size() - 1L, Math.round(share * sorted.size())));
  }
}
