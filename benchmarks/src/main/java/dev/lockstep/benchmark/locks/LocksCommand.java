package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.locks.system.CuratorLocks;
import dev.lockstep.benchmark.locks.system.EtcdLocks;
import dev.lockstep.benchmark.locks.system.LockstepLocks;
import dev.lockstep.benchmark.locks.system.PostgresLocks;
import dev.lockstep.benchmark.locks.system.RedissonLocks;
import dev.lockstep.benchmark.report.Machine;
import dev.lockstep.benchmark.report.Report;
import dev.lockstep.benchmark.server.Scratch;
import dev.lockstep.benchmark.server.ServerProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code benchmarks/run locks}. */
@Command(
    name = "locks",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Clients acquire and release random keys as fast as they can, against each lock service in"
          + " turn, while it is verified that no key ever has two holders.",
      "Without --clients and --keys: 1 client on 1,000 keys, 64 on 1,000, 512 on 10,000, 64 on one."
    })
public final class LocksCommand implements Callable<Integer> {

  private static final List<Workload> STANDARD =
      List.of(
          new Workload(1, 1_000),
          new Workload(64, 1_000),
          new Workload(512, 10_000),
          new Workload(64, 1));
  private static final Set<String> PEERS = Set.of("redisson", "curator", "etcd", "postgres");

  @Option(names = "--clients", paramLabel = "N", description = "Clients that act at the same time.")
  private int clients;

  @Option(names = "--keys", paramLabel = "N", description = "Keys that they choose from.")
  private int keys;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "5",
      description = "Measured time of one slice, after a fifth of it for warming up. Default: 5.")
  private int seconds;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "3",
      description = "How often each system is measured, in turns. Default: 3.")
  private int rounds;

  @Option(
      names = "--warm-up",
      paramLabel = "S",
      defaultValue = "15",
      description =
          "Seconds for which each variant works unmeasured at first, for JIT compilers. Default: 15.")
  private int warmUp;

  @Option(
      names = "--partitions",
      paramLabel = "N",
      defaultValue = "1",
      description =
          "Partitions of Lockstep's lock topics; more of them pay on more cores. Default: 1.")
  private int partitions;

  @Option(
      names = "--variants",
      split = ",",
      paramLabel = "NAME",
      description = "Only these, such as async. Default: all that a system has.")
  private List<String> variants = List.of();

  @Option(
      names = "--peers",
      split = ",",
      paramLabel = "NAME",
      defaultValue = "redisson,curator,etcd,postgres",
      description = "Whom to measure beside Lockstep; none: nobody. Default: all.")
  private List<String> peers = List.of();

  @Option(
      names = "--report",
      paramLabel = "DIR",
      defaultValue = "benchmark-report",
      description = "Where locks.json and locks.svg go. Default: benchmark-report.")
  private Path report = Path.of("benchmark-report");

  @Spec private CommandSpec spec;

  /** Made by picocli. */
  @SuppressWarnings("NullAway.Init")
  public LocksCommand() {}

  @Override
  public Integer call() throws Exception {
    validate();
    List<LockSystem> systems = new ArrayList<>();
    try (Scratch scratch = Scratch.create();
        AutoCloseable servers = () -> close(systems)) {
      start(systems, scratch.path());
      Map<String, String> versions = new LinkedHashMap<>();
      systems.forEach(system -> versions.put(system.name(), system.version()));
      versions.forEach((name, version) -> System.out.println("  " + name + ": " + version));
      List<Workload> workloads =
          clients == 0 ? STANDARD : List.of(new Workload(clients, Math.max(1, keys)));
      LocksRun run =
          new LocksRun(systems, variants, Duration.ofSeconds(seconds), rounds, System.out::println);
      run.warmUp(Duration.ofSeconds(warmUp));
      LocksRun.Result result = run.run(workloads);
      Report written = new Report(Machine.describe(), versions, result.lines());
      Files.createDirectories(report);
      written.writeJson(report.resolve("locks.json"));
      written.draw("grants_per_second", "Locks: grants per second", report.resolve("locks.svg"));
      System.out.println(new LocksTable(result.lines()).text());
      System.out.println("Report: " + report.toAbsolutePath().normalize());
      result.violations().forEach(violation -> System.out.println("VIOLATION " + violation));
      return result.violations().isEmpty() ? 0 : 1;
    }
  }

  private static void close(List<LockSystem> systems) {
    for (int i = systems.size() - 1; i >= 0; i--) {
      systems.get(i).close();
    }
  }

  private void validate() {
    List<String> faults = new ArrayList<>();
    if (clients < 0 || (clients == 0 && keys != 0)) {
      faults.add("--keys needs --clients of at least 1");
    }
    if (keys < 0) {
      faults.add("--keys must be at least 1");
    }
    if (partitions < 1) {
      faults.add("--partitions must be at least 1");
    }
    if (seconds < 1) {
      faults.add("--seconds must be at least 1");
    }
    if (warmUp < 0) {
      faults.add("--warm-up must not be negative");
    }
    if (rounds < 1) {
      faults.add("--rounds must be at least 1");
    }
    for (String peer : peers) {
      if (!PEERS.contains(peer) && !peer.equals("none")) {
        faults.add("--peers: nobody is called '" + peer + "', known are " + PEERS);
      }
    }
    if (!faults.isEmpty()) {
      throw new ParameterException(spec.commandLine(), String.join("; ", faults));
    }
  }

  private void start(List<LockSystem> systems, Path directory) throws IOException {
    System.out.println("Starting");
    systems.add(new LockstepLocks(directory.resolve("lockstep"), partitions));
    if (peers.contains("redisson") && isInstalled("redis-server", "redis-server")) {
      for (RedissonLocks.Kind kind : RedissonLocks.Kind.values()) {
        String name = kind.name().toLowerCase(Locale.ROOT);
        systems.add(new RedissonLocks(directory.resolve("redis-" + name), kind));
      }
    }
    if (peers.contains("curator")) {
      if (Files.exists(CuratorLocks.JAR)) {
        systems.add(new CuratorLocks(directory.resolve("zookeeper")));
      } else {
        missing("zookeeper");
      }
    }
    if (peers.contains("etcd") && isInstalled("etcd", "etcd-server")) {
      systems.add(new EtcdLocks(directory.resolve("etcd")));
    }
    if (peers.contains("postgres")) {
      systems.add(new PostgresLocks(directory.resolve("postgres")));
    }
  }

  private static boolean isInstalled(String program, String debianPackage) {
    boolean found = ServerProcess.installed(program).isPresent();
    if (!found) {
      missing(debianPackage);
    }
    return found;
  }

  private static void missing(String debianPackage) {
    System.out.println("  not measured: Debian's package " + debianPackage + " is not installed");
  }
}
