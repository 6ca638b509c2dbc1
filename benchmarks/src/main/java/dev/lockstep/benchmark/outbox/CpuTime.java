package dev.lockstep.benchmark.outbox;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.stream.Stream;

/**
 * What processes computed so far: this one, with relay and consumer in it, and the servers that it
 * started. On few cores a rate follows from it; and unlike a rate it tells who is to blame.
 *
 * @param byRole processor time of the processes that run now
 */
record CpuTime(Map<String, Duration> byRole) {

  /**
   * Asks the processes.
   *
   * @param database of a server that is no child of this process, though it was started here
   */
  static CpuTime now(ProcessHandle database) {
    Map<String, Duration> byRole = new LinkedHashMap<>();
    ProcessHandle self = ProcessHandle.current();
    Stream.of(self, database)
        .flatMap(process -> Stream.concat(Stream.of(process), process.descendants()))
        .distinct()
        .forEach(
            process ->
                byRole.merge(
                    role(process, self),
                    process.info().totalCpuDuration().orElse(Duration.ZERO),
                    Duration::plus));
    return new CpuTime(byRole);
  }

  private static String role(ProcessHandle process, ProcessHandle self) {
    if (process.equals(self)) {
      return "relay_and_consumer";
    }
    String command = process.info().command().orElse("");
    return command.endsWith("java") ? "broker" : "database";
  }

  /** Returns microseconds for each row, by role. */
  Map<String, Double> perRow(CpuTime before, long rows) {
    Map<String, Double> perRow = new LinkedHashMap<>();
    byRole.forEach(
        (role, time) -> {
          Duration spent = time.minus(before.byRole().getOrDefault(role, Duration.ZERO));
          perRow.put(role, spent.toNanos() / 1e3 / rows);
        });
    return perRow;
  }
}
