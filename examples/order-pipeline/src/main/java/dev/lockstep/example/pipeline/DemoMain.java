package dev.lockstep.example.pipeline;

import dev.lockstep.example.pipeline.audit.AuditReport;
import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.example.pipeline.invoice.InvoiceReader;
import dev.lockstep.example.pipeline.run.Demo;
import dev.lockstep.example.pipeline.run.Kill;
import dev.lockstep.example.pipeline.run.RunDirectory;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** The command line of the pipeline. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    version = "Lockstep 0.1.0",
    sortOptions = false,
    subcommands = TopicsCommand.class,
    description =
        "Runs invoices through four services as sagas under locks, on embedded Kafka and PostgreSQL,"
            + " and audits the result. Exit code 0 only if the audit finds no violation.")
public final class DemoMain implements Callable<Integer> {

  @Option(
      names = "--input",
      paramLabel = "FILE|DIR",
      description = "Invoice lines as CSV, a file or a directory of them. Default: a small sample.")
  private @Nullable Path input;

  @Option(names = "--orders", paramLabel = "N", description = "Take the first N invoices only.")
  private int orders = Integer.MAX_VALUE;

  @Option(
      names = "--fail-rate",
      paramLabel = "R",
      description = "Share of payments and shipments that fail, 0 to 1. Default: 0.")
  private double failRate;

  @Option(names = "--processes", description = "Run each part in a process of its own.")
  private boolean processes;

  @Option(
      names = "--kill",
      paramLabel = "WHAT@SECONDS",
      description =
          "Kill with SIGKILL and start again, SECONDS after the first saga began: broker, locks,"
              + " orchestrator, order, inventory, payment or shipping. May be given several times;"
              + " implies --processes.")
  private List<String> kills = new ArrayList<>();

  @Option(names = "--seed", paramLabel = "S", description = "Seed of failures and opening stock.")
  private long seed = 1;

  @Option(
      names = "--report",
      paramLabel = "DIR",
      description = "Where the report goes. Default: demo-report.")
  private Path report = Path.of("demo-report");

  @Option(names = "--keep", description = "Leave everything running afterwards, until Ctrl-C.")
  private boolean keep;

  @Spec private CommandSpec spec = CommandSpec.create();

  private DemoMain() {}

  /** Runs the command and ends the process with its exit code. */
  public static void main(String[] args) {
    System.exit(command().execute(args));
  }

  /** Returns the command; faults are one line on standard error, exit code 2 for bad options. */
  static CommandLine command() {
    CommandLine command = new CommandLine(new DemoMain());
    command.setExecutionExceptionHandler(
        (error, line, parsed) -> {
          line.getErr().println("demo: " + message(error));
          return 1;
        });
    command.setParameterExceptionHandler(
        (error, arguments) -> {
          error
              .getCommandLine()
              .getErr()
              .println("demo: " + message(error) + " (see ./demo --help)");
          return 2;
        });
    return command;
  }

  @Override
  public Integer call() throws Exception {
    List<Kill> planned = validated();
    RunDirectory own = RunDirectory.create();
    Path directory = own.path();
    Cleaner cleaner = new Cleaner(own);
    Runtime.getRuntime().addShutdownHook(new Thread(cleaner::close));
    Path invoices = input == null ? sample(directory) : input;
    Demo.Plan plan =
        new Demo.Plan(
            invoices,
            orders,
            seed,
            failRate,
            processes || !planned.isEmpty(),
            planned,
            directory,
            report);
    try (Screen screen = new Screen();
        Demo demo = new Demo(plan, screen)) {
      cleaner.demo = demo;
      AuditReport result;
      try {
        result = run(demo, directory);
      } catch (Exception e) {
        if (cleaner.isEnding()) {
          // Ctrl-C reaches the services as well; the cleaner ends everything
          new CountDownLatch(1).await();
        }
        throw e;
      }
      screen.close();
      print(result);
      if (keep) {
        demo.goOn();
        System.out.println("Still running, services included:");
        demo.addresses().forEach(address -> System.out.println("  " + address));
        System.out.println("Data and logs: " + directory);
        System.out.println("Stop everything with Ctrl-C.");
        new CountDownLatch(1).await();
      }
      return result.violations().isEmpty() ? 0 : 1;
    }
  }

  /** The logs outlive a run that failed. */
  private AuditReport run(Demo demo, Path directory) throws Exception {
    try {
      return demo.run();
    } catch (Exception e) {
      Path kept = report.resolve("logs");
      try {
        keepLogs(directory, kept);
      } catch (IOException second) {
        e.addSuppressed(second);
        throw e;
      }
      throw new IOException(message(e) + "; logs: " + kept.toAbsolutePath(), e);
    }
  }

  private static void keepLogs(Path directory, Path kept) throws IOException {
    Files.createDirectories(kept);
    try (Stream<Path> files = Files.walk(directory, 3)) {
      for (Path log : files.filter(file -> file.toString().endsWith(".log")).toList()) {
        Files.copy(log, kept.resolve(log.getFileName()), StandardCopyOption.REPLACE_EXISTING);
      }
    }
  }

  /** Checks every option before anything is started, and lists all faults at once. */
  private List<Kill> validated() {
    List<String> faults = new ArrayList<>();
    List<Kill> planned = new ArrayList<>();
    for (String kill : kills) {
      try {
        planned.add(Kill.parse(kill));
      } catch (IllegalArgumentException e) {
        faults.add(String.valueOf(e.getMessage()));
      }
    }
    if (!(failRate >= 0 && failRate <= 1)) {
      faults.add("--fail-rate must be 0 to 1, is " + failRate);
    }
    if (orders < 1) {
      faults.add("--orders must be at least 1, is " + orders);
    }
    if (Files.exists(report) && !Files.isDirectory(report)) {
      faults.add("--report " + report + " is a file, needs to be a directory");
    }
    if (input != null && orders >= 1) {
      try {
        requireUsable(input, InvoiceReader.read(input, orders));
      } catch (IOException e) {
        faults.add(String.valueOf(e.getMessage()));
      }
    }
    if (faults.isEmpty()) {
      // last: a refused command line leaves no directory behind
      try {
        Files.delete(Files.createTempFile(Files.createDirectories(report), "write", ".test"));
      } catch (IOException e) {
        faults.add("--report " + report + " cannot be written to: " + e);
      }
    }
    if (!faults.isEmpty()) {
      throw new CommandLine.ParameterException(spec.commandLine(), String.join("; ", faults));
    }
    return planned;
  }

  private static void requireUsable(Path input, List<Invoice> invoices) throws IOException {
    if (invoices.stream().noneMatch(Invoice::isUsable)) {
      Invoice.RejectedLine first = invoices.get(0).rejected().get(0);
      throw new IOException(
          "Input %s has no usable invoice; line %d: %s"
              .formatted(input, first.number(), first.reason()));
    }
  }

  /** Ends what runs and removes its files, also on Ctrl-C; once. */
  private static final class Cleaner implements AutoCloseable {

    private final RunDirectory directory;
    private final CountDownLatch begun = new CountDownLatch(1);
    private volatile @Nullable Demo demo;

    Cleaner(RunDirectory directory) {
      this.directory = directory;
    }

    /** Tells, after a moment, whether this JVM is being ended: what fails then is no fault. */
    boolean isEnding() {
      try {
        return begun.await(500, TimeUnit.MILLISECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return true;
      }
    }

    @Override
    public void close() {
      begun.countDown();
      Demo running = demo;
      if (running != null) {
        running.abort();
      }
      directory.delete();
    }
  }

  private void print(AuditReport result) {
    Map<String, Object> figures = result.figures();
    System.out.printf(
        "%n%s lines, %s orders, %s returns: %s completed, %s compensated, %s parked;"
            + " %s lines and %s invoices rejected%n",
        figures.get("input_lines"),
        figures.get("orders"),
        figures.get("returns"),
        figures.get("completed"),
        figures.get("compensated"),
        figures.get("parked"),
        figures.get("rejected_lines"),
        figures.get("rejected_invoices"));
    System.out.printf(
        "%s sagas/s over %s s; latency of a saga in ms: %s%n",
        figures.get("sagas_per_second"),
        figures.get("duration_seconds"),
        figures.get("saga_latency_ms"));
    if (figures.get("seconds_from_kill_to_next_step") instanceof Map<?, ?> recovery
        && !recovery.isEmpty()) {
      System.out.printf("Seconds from kill to next step: %s%n", recovery);
    }
    if (result.violations().isEmpty()) {
      System.out.printf("Audit: no violation. Report: %s%n", report.toAbsolutePath());
    } else {
      System.out.printf("Audit: %d VIOLATIONS%n", result.violations().size());
      result.violations().stream().limit(20).forEach(v -> System.out.println("  " + v));
      System.out.printf("Report: %s%n", report.toAbsolutePath());
    }
  }

  private static Path sample(Path directory) throws IOException {
    Path file = directory.resolve("sample.csv");
    try (InputStream in = DemoMain.class.getResourceAsStream("/sample/invoices.csv")) {
      Files.copy(Objects.requireNonNull(in), file, StandardCopyOption.REPLACE_EXISTING);
    }
    return file;
  }

  /** What went wrong, in one line. */
  static String message(Throwable error) {
    String text = error.getMessage();
    return text == null ? error.toString() : text.replace('\n', ' ');
  }

  /** Phases as lines, sagas as a progress bar. */
  private static final class Screen implements Demo.Progress, AutoCloseable {

    private @Nullable ProgressBar bar;
    private int tenths;

    @Override
    public void phase(String name) {
      close();
      System.out.println(name);
    }

    @Override
    public void news(String what) {
      if (bar == null) {
        System.out.println(what);
      } else {
        bar.setExtraMessage(" " + what);
      }
    }

    @Override
    public void ended(int done, int all) {
      if (!Boolean.getBoolean("demo.terminal")) {
        // a file or a pipe, the script has looked: a line at each tenth instead of a bar
        int tenth = all == 0 ? 10 : done * 10 / all;
        if (tenth > tenths) {
          tenths = tenth;
          System.out.printf("Sagas %d/%d%n", done, all);
        }
        return;
      }
      if (bar == null) {
        bar =
            new ProgressBarBuilder()
                .setTaskName("Sagas")
                .setInitialMax(all)
                .setStyle(ProgressBarStyle.ASCII)
                .setUpdateIntervalMillis(500)
                .build();
      }
      bar.stepTo(done);
    }

    @Override
    public void close() {
      if (bar != null) {
        bar.close();
        bar = null;
      }
    }
  }
}
