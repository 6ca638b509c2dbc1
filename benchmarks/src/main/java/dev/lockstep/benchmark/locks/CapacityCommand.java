package dev.lockstep.benchmark.locks;

import dev.lockstep.benchmark.locks.system.LockstepLocks;
import dev.lockstep.benchmark.report.Machine;
import dev.lockstep.benchmark.report.Measured;
import dev.lockstep.benchmark.report.Measured.Subject;
import dev.lockstep.benchmark.report.Report;
import dev.lockstep.benchmark.server.Scratch;
import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClient;
import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.lock.LockInspector;
import dev.lockstep.testkit.kafka.BrokerProfile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.IntFunction;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code benchmarks/run capacity}. */
@Command(
    name = "capacity",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "One client acquires many keys and holds them all, on one lock service with a bounded heap;"
          + " then it releases them. In both states the service is stopped in order and started again:"
          + " printed is the time from that start to the first grant. Fails when rows of keys are left."
    })
public final class CapacityCommand implements Callable<Integer> {

  private static final String SERVICE = "service";
  private static final int IN_FLIGHT = 2_000;
  private static final Duration PATIENCE = Duration.ofMinutes(10);

  @Spec private @Nullable CommandSpec spec;

  @Option(
      names = "--keys",
      paramLabel = "N",
      defaultValue = "1000000",
      description = "Keys. Default: 1,000,000.")
  private int keys;

  @Option(
      names = "--heap",
      paramLabel = "SIZE",
      defaultValue = "1g",
      description = "Heap of the lock service, as for -Xmx. Default: 1g.")
  private String heap = "1g";

  @Option(
      names = "--report",
      paramLabel = "DIR",
      defaultValue = "benchmark-report",
      description = "Where capacity.json goes. Default: benchmark-report.")
  private Path report = Path.of("benchmark-report");

  private final List<Measured> lines = new ArrayList<>();

  /** Made by picocli. */
  public CapacityCommand() {}

  @Override
  public Integer call() throws Exception {
    if (keys < 1 && spec != null) {
      throw new ParameterException(spec.commandLine(), "--keys must be at least 1");
    }
    LockInspector.Totals left;
    try (Scratch scratch = Scratch.create();
        LockstepLocks locks = new LockstepLocks(scratch.path(), BrokerProfile.TUNED, 1)) {
      long pid = locks.start(SERVICE, heap);
      // sessions outlive the restarts
      LockClientOptions options =
          LockClientOptions.of(locks.config()).withTtl(Duration.ofMinutes(5));
      try (LockClient client = LockClient.connect(options)) {
        List<Lease> leases = new ArrayList<>();
        double rate =
            each(
                "acquired",
                i ->
                    client
                        .lock("key-" + i)
                        .acquireAsync(PATIENCE)
                        .thenAccept(
                            lease -> {
                              synchronized (leases) {
                                leases.add(lease);
                              }
                            }));
        note("grants_per_second", "1/s", rate);
        note("service_peak_memory_mib", "MiB", peakMemory(pid));
        note("restart_to_grant_with_all_held_s", "s", restart(locks, client));
        rate = each("released", i -> leases.get(i).release());
        note("releases_per_second", "1/s", rate);
        // a release is done when it stands in the log; a grant behind it tells that it is folded
        long released = System.nanoTime();
        grant(client).release().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
        note("released_to_next_grant_s", "s", seconds(released));
        note("restart_to_grant_with_none_held_s", "s", restart(locks, client));
        try (LockInspector inspector = LockInspector.start(locks.config())) {
          var unused = inspector.lock("key-0"); // up to now
          left = inspector.totals();
        }
      }
    }
    Files.createDirectories(report);
    new Report(Machine.describe(), Map.of("lockstep", "this build, heap " + heap), lines)
        .writeJson(report.resolve("capacity.json"));
    System.out.println("Report: " + report.toAbsolutePath().normalize());
    System.out.println("Left in the state: " + left);
    return left.keys() == 0 && left.queued() == 0 ? 0 : 1;
  }

  /** Does something for every key, many at a time. Returns how many were done in a second. */
  private double each(String done, IntFunction<CompletableFuture<?>> task)
      throws InterruptedException {
    Semaphore inFlight = new Semaphore(IN_FLIGHT);
    AtomicReference<@Nullable Throwable> failure = new AtomicReference<>();
    long begun = System.nanoTime();
    for (int i = 0; i < keys && failure.get() == null; i++) {
      inFlight.acquire();
      var unused =
          task.apply(i)
              .whenComplete(
                  (result, error) -> {
                    if (error != null) {
                      failure.compareAndSet(null, error);
                    }
                    inFlight.release();
                  });
      if ((i + 1) % Math.max(1, keys / 10) == 0) {
        System.out.printf("  %,d %s, %,.0f/s%n", i + 1, done, (i + 1) / seconds(begun));
      }
    }
    inFlight.acquire(IN_FLIGHT);
    Throwable thrown = failure.get();
    if (thrown != null) {
      throw new IllegalStateException("Not every key was " + done, thrown);
    }
    return keys / seconds(begun);
  }

  private double restart(LockstepLocks locks, LockClient client) throws Exception {
    locks.stop(SERVICE);
    long begun = System.nanoTime();
    locks.start(SERVICE, heap);
    Lease first = grant(client);
    double seconds = seconds(begun);
    first.release().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    return seconds;
  }

  private static Lease grant(LockClient client) throws Exception {
    return client
        .lock("first-" + System.nanoTime())
        .acquireAsync(PATIENCE)
        .get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
  }

  private static double seconds(long since) {
    return (System.nanoTime() - since) / 1e9;
  }

  /** Most memory that a process had at once, heap and all else. */
  private static double peakMemory(long pid) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
      }
    }
    return Double.NaN;
  }

  private void note(String metric, String unit, double value) {
    String workload = "1 client, %d keys held at once".formatted(keys);
    lines.add(
        Measured.of(new Subject("lockstep", "async", workload, metric), unit, List.of(value)));
    System.out.printf("%-36s %,12.1f %s%n", metric, value, unit);
  }
}
