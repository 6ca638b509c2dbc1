package dev.lockstep.benchmark.outbox;

import dev.lockstep.benchmark.outbox.system.DebeziumOutbox;
import dev.lockstep.benchmark.outbox.system.FlagPoller;
import dev.lockstep.benchmark.outbox.system.GruelboxOutbox;
import dev.lockstep.benchmark.outbox.system.LockstepOutbox;
import dev.lockstep.benchmark.outbox.system.NamastackOutbox;
import dev.lockstep.benchmark.outbox.system.PageAndSend;
import dev.lockstep.benchmark.outbox.system.PortableOutbox;
import dev.lockstep.benchmark.report.Machine;
import dev.lockstep.benchmark.report.Report;
import dev.lockstep.benchmark.server.Scratch;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Stream;
import org.apache.kafka.common.utils.AppInfoParser;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code benchmarks/run outbox}. */
@Command(
    name = "outbox",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Rows of a PostgreSQL table go to Kafka: a backlog is drained, then transactions of one row"
          + " are followed from their commit to a read_committed consumer.",
      "'limit' pages a plain table and sends, without any bookkeeping: nobody is faster."
    })
public final class OutboxCommand implements Callable<Integer> {

  /** A durable server of ordinary size; nothing is switched off for speed. */
  private static final Map<String, String> DATABASE =
      Map.of(
          "fsync", "on",
          "synchronous_commit", "on",
          "full_page_writes", "on",
          "wal_level", "logical",
          "shared_buffers", "1GB",
          "max_wal_size", "4GB");

  private static final List<String> MODES =
      Stream.concat(LockstepOutbox.MODES.stream(), Stream.of(PortableOutbox.MODE)).toList();

  @Option(
      names = "--rows",
      paramLabel = "N",
      defaultValue = "200000",
      description = {
        "Rows of a backlog; a multiple of ten. Default: 200000.",
        "gruelbox and namastack are slow and drain at most 20000; rates are compared."
      })
  private long rows;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      defaultValue = "5",
      description = "How often each system is measured, in turns. Default: 5.")
  private int rounds;

  @Option(
      names = "--warm-up",
      paramLabel = "N",
      defaultValue = "2",
      description = "Rounds before that, which do not count. Default: 2.")
  private int warmUp;

  @Option(
      names = "--seconds",
      paramLabel = "S",
      defaultValue = "20",
      description = "Time of a slice of steady load, its first quarter not counted; 0: none.")
  private int seconds;

  @Option(
      names = "--per-second",
      paramLabel = "N",
      defaultValue = "500",
      description = "Transactions of one row a second at steady load. Default: 500.")
  private int perSecond;

  @Option(
      names = "--stock",
      description = "The broker keeps Kafka's own settings; otherwise the tuned profile.")
  private boolean stock;

  @Option(
      names = "--open-transactions",
      description = {
        "Beside each slice a transaction stays open in its database, and one in another of the",
        "same server."
      })
  private boolean openTransactions;

  @Option(
      names = "--peers",
      split = ",",
      paramLabel = "NAME",
      defaultValue = "limit,debezium,gruelbox,namastack,flag-poller",
      description = "Whom to measure beside Lockstep; none: nobody. Default: all.")
  private List<String> peers = List.of();

  @Option(
      names = "--modes",
      split = ",",
      paramLabel = "NAME",
      defaultValue = "exactly-once,express,wal,wal-express,portable",
      description = "Which of ours to measure. Default: all.")
  private List<String> modes = List.of();

  @Option(
      names = "--report",
      paramLabel = "DIR",
      defaultValue = "benchmark-report",
      description = "Where outbox.json and outbox.svg go. Default: benchmark-report.")
  private Path report = Path.of("benchmark-report");

  @Spec private CommandSpec spec;

  /** Made by picocli. */
  @SuppressWarnings("NullAway.Init")
  public OutboxCommand() {}

  @Override
  public Integer call() throws Exception {
    validate();
    try (Scratch scratch = Scratch.create();
        PortableOutbox portable = new PortableOutbox(scratch.path().resolve("mariadb"))) {
      return measure(scratch, portable);
    }
  }

  private int measure(Scratch scratch, PortableOutbox portable) throws Exception {
    List<OutboxSystem> systems = systems(portable);
    Map<String, String> versions = new LinkedHashMap<>();
    versions.put(
        "kafka",
        AppInfoParser.getVersion() + ", one broker, " + (stock ? "stock" : "tuned") + " profile");
    systems.forEach(system -> versions.put(system.name(), system.version()));
    versions.forEach((name, version) -> System.out.println("  " + name + ": " + version));
    try (KafkaCluster cluster =
            KafkaCluster.start(
                scratch.path().resolve("kafka"),
                1,
                stock ? BrokerProfile.STOCK : BrokerProfile.TUNED);
        PostgresServer postgres = PostgresServer.start(scratch.path().resolve("pg"), DATABASE)) {
      OutboxRun run =
          new OutboxRun(
              postgres,
              LockstepConfig.of(cluster.bootstrapServers()),
              openTransactions,
              System.out::println);
      for (int round = -warmUp; round < rounds; round++) {
        for (OutboxSystem system : systems) {
          for (String variant : system.variants()) {
            run.drain(system, variant, rows, round >= 0);
          }
        }
      }
      for (int round = 0; round < rounds && seconds > 0; round++) {
        for (OutboxSystem system : systems) {
          for (String variant : system.variants().stream().filter(system::isRelay).toList()) {
            run.latency(system, variant, perSecond, Duration.ofSeconds(seconds));
          }
        }
      }
      Files.createDirectories(report);
      Report written = new Report(Machine.describe(), versions, run.lines());
      written.writeJson(report.resolve("outbox.json"));
      written.draw(
          "drain_rows_per_second", "Outboxes: rows per second", report.resolve("outbox.svg"));
      System.out.println(new OutboxTable(run.lines()).text());
      System.out.println("Report: " + report.toAbsolutePath().normalize());
      run.violations().forEach(violation -> System.out.println("VIOLATION " + violation));
      return run.violations().isEmpty() ? 0 : 1;
    }
  }

  private void validate() {
    List<String> faults = new ArrayList<>();
    if (rows < 10 || rows % 10 != 0) {
      faults.add("--rows must be a multiple of ten");
    }
    if (rounds < 1) {
      faults.add("--rounds must be at least 1");
    }
    if (warmUp < 0) {
      faults.add("--warm-up must not be negative");
    }
    if (seconds < 0) {
      faults.add("--seconds must not be negative");
    }
    if (perSecond < 1) {
      faults.add("--per-second must be at least 1");
    }
    if (!MODES.containsAll(modes) || modes.isEmpty()) {
      faults.add("--modes are " + MODES);
    }
    if (!faults.isEmpty()) {
      throw new ParameterException(spec.commandLine(), String.join("; ", faults));
    }
  }

  private List<OutboxSystem> systems(PortableOutbox portable) {
    Map<String, OutboxSystem> known = new LinkedHashMap<>();
    for (OutboxSystem peer :
        List.of(
            new PageAndSend(),
            new DebeziumOutbox(),
            new GruelboxOutbox(),
            new NamastackOutbox(),
            new FlagPoller())) {
      known.put(peer.name(), peer);
    }
    List<OutboxSystem> systems = new ArrayList<>();
    systems.add(new LockstepOutbox(modes));
    if (modes.contains(PortableOutbox.MODE)) {
      systems.add(portable);
    }
    for (String name : peers) {
      OutboxSystem peer = known.get(name);
      if (peer != null) {
        systems.add(peer);
      } else if (!name.equals("none")) {
        throw new ParameterException(
            spec.commandLine(),
            "--peers: nobody is called '" + name + "', known are " + known.keySet());
      }
    }
    return systems;
  }
}
