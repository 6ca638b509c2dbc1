package dev.lockstep.benchmark;

import dev.lockstep.benchmark.locks.CapacityCommand;
import dev.lockstep.benchmark.locks.FailoverCommand;
import dev.lockstep.benchmark.locks.LocksCommand;
import dev.lockstep.benchmark.outbox.OutboxCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The command line of {@code benchmarks/run}. */
@Command(
    name = "benchmarks/run",
    mixinStandardHelpOptions = true,
    description = "Measures Lockstep beside what people use today: the same work, in one run.",
    subcommands = {
      LocksCommand.class,
      FailoverCommand.class,
      CapacityCommand.class,
      OutboxCommand.class
    })
public final class BenchmarkMain {

  /** Made by picocli. */
  public BenchmarkMain() {}

  /**
   * Runs a benchmark.
   *
   * @param args see {@code --help}
   */
  public static void main(String[] args) {
    System.exit(run(args));
  }

  /**
   * Runs a benchmark without ending the JVM.
   *
   * @param args see {@code --help}
   * @return 0 when it ran and everything that it verified held
   */
  public static int run(String... args) {
    return new CommandLine(new BenchmarkMain())
        .setExecutionExceptionHandler(
            (error, commandLine, parsed) -> {
              System.err.println("benchmarks/run: " + error.getMessage());
              error.printStackTrace(System.err);
              return 1;
            })
        .execute(args);
  }
}
