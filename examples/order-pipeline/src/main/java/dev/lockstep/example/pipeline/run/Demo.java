package dev.lockstep.example.pipeline.run;

import dev.lockstep.example.pipeline.audit.AuditReport;
import dev.lockstep.example.pipeline.audit.AuditorMain;
import dev.lockstep.example.pipeline.audit.EvidenceReader;
import dev.lockstep.example.pipeline.invoice.Invoice;
import dev.lockstep.example.pipeline.invoice.InvoiceReader;
import dev.lockstep.example.pipeline.invoice.OpeningPlan;
import dev.lockstep.example.pipeline.service.Inventory;
import dev.lockstep.example.pipeline.service.OrderDesk;
import dev.lockstep.example.pipeline.service.Payment;
import dev.lockstep.example.pipeline.service.Shipping;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.lock.JdbcFence;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import dev.lockstep.testkit.process.ChildJvm;
import java.io.IOException;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** One run of the pipeline: servers, services, kills, audit. */
public final class Demo implements AutoCloseable {

  private static final Duration DRAIN = Duration.ofMinutes(1);
  private static final Duration STALL = Duration.ofMinutes(2);

  /**
   * What to run.
   *
   * @param input invoices
   * @param limit most invoices
   * @param seed of failures and opening stock
   * @param failRate share of payments and shipments that fail
   * @param apart each part in a process of its own
   * @param kills what to kill, and when
   * @param directory for data and logs
   * @param report where the report goes
   */
  public record Plan(
      Path input,
      int limit,
      long seed,
      double failRate,
      boolean apart,
      List<Kill> kills,
      Path directory,
      Path report) {}

  /** Told of progress. */
  public interface Progress {
    /** Called as a phase begins. */
    void phase(String name);

    /** Called as something happens that people would like to know. */
    void news(String what);

    /** Called as sagas end. */
    void ended(int done, int all);
  }

  private final Plan plan;
  private final Progress progress;
  private final List<AutoCloseable> open = new ArrayList<>();
  private @Nullable Environment running;

  /** Prepares a run. */
  public Demo(Plan plan, Progress progress) {
    this.plan = plan;
    this.progress = progress;
  }

  /**
   * Runs to the end of the last saga and audits; what was started stays up until {@link #close}.
   */
  public AuditReport run() throws Exception {
    List<Invoice> invoices = InvoiceReader.read(plan.input(), plan.limit());
    OpeningPlan opening = OpeningPlan.of(invoices, plan.seed());
    int usable = (int) invoices.stream().filter(Invoice::isUsable).count();
    progress.phase("Starting Kafka and PostgreSQL");
    Path kafka = plan.directory().resolve("kafka");
    KafkaCluster cluster =
        add(
            plan.apart()
                ? KafkaCluster.startWithController(kafka, BrokerProfile.STOCK)
                : KafkaCluster.start(kafka, 1, BrokerProfile.STOCK));
    PostgresServer postgres = add(PostgresServer.start(plan.directory().resolve("pg")));
    Environment environment = environment(cluster, postgres);
    running = environment;
    prepare(environment, opening);
    progress.phase("Starting services");
    add(auditor(environment));
    Processes processes = add(new Processes(environment, plan.apart()));
    processes.startAll();
    @Nullable RecoveryWatch recovery =
        plan.kills().isEmpty() ? null : new RecoveryWatch(environment.config());
    try (recovery;
        SagaWatch watch = new SagaWatch(environment.config())) {
      follow(watch, usable, processes, cluster, recovery);
    }
    EvidenceReader reader = new EvidenceReader(environment);
    progress.phase("Draining outboxes");
    awaitDrained(reader);
    processes.close();
    progress.phase("Auditing");
    AuditReport report =
        new AuditReport(reader.read(), recovery == null ? Map.of() : recovery.seconds());
    report.write(plan.report());
    return report;
  }

  /** Starts the services again behind the audit, for people who look at them. */
  public void goOn() {
    Environment environment = running;
    if (environment != null) {
      add(new Processes(environment, plan.apart())).startAll();
    }
  }

  /** Returns how to reach what is running. */
  public List<String> addresses() {
    List<String> addresses = new ArrayList<>();
    Environment environment = running;
    if (environment != null) {
      addresses.add("Kafka: " + environment.bootstrapServers());
      new TreeMap<>(environment.databases())
          .forEach((service, url) -> addresses.add("Database of " + service + ": " + url));
    }
    return addresses;
  }

  /**
   * Ends everything at once, for a JVM that is going down: PostgreSQL's own hook may have stopped
   * it already, and services would wait for it.
   */
  public void abort() {
    List<AutoCloseable> parts;
    synchronized (open) {
      parts = List.copyOf(open);
    }
    for (AutoCloseable part : parts) {
      if (part instanceof Processes processes) {
        processes.killAll();
      }
    }
    close();
  }

  @Override
  public void close() {
    List<AutoCloseable> parts;
    synchronized (open) {
      parts = new ArrayList<>(open);
      open.clear();
    }
    for (int i = parts.size() - 1; i >= 0; i--) {
      try {
        parts.get(i).close();
      } catch (Exception e) {
        System.err.println("Could not stop " + parts.get(i) + ": " + e);
      }
    }
  }

  private Environment environment(KafkaCluster cluster, PostgresServer postgres) {
    Map<String, String> databases = new HashMap<>();
    for (Role role : Role.values()) {
      if (role.isService()) {
        databases.put(role.label(), postgres.createDatabase(role.label() + "_db"));
      }
    }
    return new Environment(
        cluster.bootstrapServers(),
        databases,
        plan.input().toAbsolutePath(),
        plan.limit(),
        plan.seed(),
        plan.failRate(),
        plan.directory());
  }

  private static void prepare(Environment environment, OpeningPlan opening) throws SQLException {
    try (TopicAdmin topics = new TopicAdmin(environment.config())) {
      topics.create(PipelineTopics.plan(environment.config()));
    }
    tables(environment, Role.ORDER, OrderDesk.TABLES);
    tables(environment, Role.INVENTORY, Inventory.TABLES);
    tables(environment, Role.PAYMENT, Payment.TABLES);
    tables(environment, Role.SHIPPING, Shipping.TABLES);
    try (var inventory = Service.pool(Role.INVENTORY, environment);
        var payment = Service.pool(Role.PAYMENT, environment)) {
      JdbcFence.migrate(inventory);
      Inventory.open(inventory, opening.stock());
      Payment.open(payment, opening.creditPence());
    }
  }

  private static void tables(Environment environment, Role role, List<String> statements)
      throws SQLException {
    try (Connection connection = DriverManager.getConnection(environment.database(role.label()));
        Statement statement = connection.createStatement()) {
      for (String sql : statements) {
        statement.execute(sql);
      }
    }
  }

  private ChildJvm auditor(Environment environment) {
    return ChildJvm.start(
        "auditor",
        plan.directory().resolve("auditor.log"),
        List.of("-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
        AuditorMain.class.getName(),
        List.of(
            environment.bootstrapServers(),
            environment.config().named(OrderDesk.TOPIC),
            plan.report().toAbsolutePath().toString()));
  }

  private void follow(
      SagaWatch watch,
      int usable,
      Processes processes,
      KafkaCluster cluster,
      @Nullable RecoveryWatch recovery)
      throws IOException {
    List<Kill> kills =
        new ArrayList<>(plan.kills().stream().sorted(Comparator.comparing(Kill::at)).toList());
    progress.phase("Running sagas");
    long begin = 0;
    long lastProgress = System.nanoTime();
    int before = 0;
    while (true) {
      int done = watch.poll();
      progress.ended(done, usable);
      if (watch.hasStarted() && begin == 0) {
        begin = System.nanoTime();
      }
      if (done >= usable) {
        kills.forEach(kill -> progress.news("Not killed, all sagas had ended: " + kill.what()));
        return;
      }
      if (done > before) {
        before = done;
        lastProgress = System.nanoTime();
      }
      if (System.nanoTime() - lastProgress > STALL.toNanos()) {
        throw new IOException(
            "No saga has ended for %s: %d of %d are done".formatted(STALL, done, usable));
      }
      if (!processes.dead().isEmpty()) {
        throw new IOException("Ended by themselves: " + processes.dead());
      }
      if (begin != 0 && !kills.isEmpty() && recovery != null) {
        Duration now = Duration.ofNanos(System.nanoTime() - begin);
        if (kills.get(0).at().compareTo(now) <= 0) {
          Kill kill = kills.remove(0);
          progress.news("Killing " + kill.what() + ", starting it again");
          kill(kill, processes, cluster, recovery);
        }
      }
    }
  }

  private static void kill(
      Kill kill, Processes processes, KafkaCluster cluster, RecoveryWatch recovery) {
    if (kill.what().equals("broker")) {
      cluster.node(1).kill();
      recovery.killed(kill.what());
      cluster.node(1).restart();
      return;
    }
    Role role = Role.valueOf(kill.what().toUpperCase(Locale.ROOT));
    processes.kill(role);
    recovery.killed(kill.what());
    processes.start(role);
  }

  private static void awaitDrained(EvidenceReader reader) throws SQLException {
    long end = System.nanoTime() + DRAIN.toNanos();
    while (!reader.isDrained() && System.nanoTime() < end) {
      try {
        TimeUnit.MILLISECONDS.sleep(200);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return;
      }
    }
  }

  private <T extends AutoCloseable> T add(T part) {
    synchronized (open) {
      open.add(part);
    }
    return part;
  }

  /** Prints phases only; for tests. */
  public static Progress quiet(Consumer<String> phases) {
    return new Progress() {
      @Override
      public void phase(String name) {
        phases.accept(name);
      }

      @Override
      public void news(String what) {
        phases.accept(what);
      }

      @Override
      public void ended(int done, int all) {
        // nobody looks
      }
    };
  }
}
