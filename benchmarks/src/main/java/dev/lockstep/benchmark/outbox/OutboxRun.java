package dev.lockstep.benchmark.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.benchmark.report.Measured;
import dev.lockstep.benchmark.report.Measured.Subject;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Measures outboxes in turns, each slice in a database and a topic of its own. */
final class OutboxRun {

  private static final int PARTITIONS = 8;
  private static final String WAL = "SELECT pg_current_wal_lsn() - '0/0'";

  /** All that were made, not what is left: vacuum and pruning take some away meanwhile. */
  private static final String DEAD_ROWS =
      "SELECT coalesce(sum(n_tup_upd + n_tup_del), 0) FROM pg_stat_user_tables"
          + " WHERE relname LIKE '%s%%'";

  private static final String OTHER_SESSIONS =
      "SELECT count(*) FROM pg_stat_activity"
          + " WHERE datname = current_database() AND pid <> pg_backend_pid()"
          + " AND backend_type IN ('client backend', 'walsender')";

  private final PostgresServer postgres;
  private final ProcessHandle postmaster;
  private final LockstepConfig config;
  private final Consumer<String> progress;
  private final Map<Subject, List<Double>> values = new LinkedHashMap<>();
  private final List<String> violations = new ArrayList<>();
  private final boolean holdsTransactions;
  private int slices;

  /**
   * @param holdsTransactions beside each slice a transaction stays open in its database, and one in
   *     another
   */
  OutboxRun(
      PostgresServer postgres,
      LockstepConfig config,
      boolean holdsTransactions,
      Consumer<String> progress)
      throws SQLException {
    this.holdsTransactions = holdsTransactions;
    this.postgres = postgres;
    this.postmaster = postmaster(postgres);
    this.config = config;
    this.progress = progress;
  }

  private static ProcessHandle postmaster(PostgresServer postgres) throws SQLException {
    try (Connection connection = postgres.dataSource("postgres").getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery("SELECT pg_backend_pid()")) {
      row.next();
      return ProcessHandle.of(row.getLong(1))
          .flatMap(ProcessHandle::parent)
          // processes of others may be hidden; then the server is not counted
          .orElse(ProcessHandle.current());
    }
  }

  List<Measured> lines() {
    List<Measured> lines = new ArrayList<>();
    values.forEach(
        (subject, rounded) -> lines.add(Measured.of(subject, unit(subject.metric()), rounded)));
    return lines;
  }

  List<String> violations() {
    return violations;
  }

  /** Lets a system empty a backlog: of so many rows, or fewer when it is slow. */
  void drain(OutboxSystem system, String variant, long most, boolean counts) throws Exception {
    long rows = Math.min(most, system.mostRows());
    String workload = "backlog of %,d rows".formatted(rows);
    Place place = place(system);
    String tables;
    double wal;
    double rate;
    Map<String, Double> cpu;
    long repeats;
    try (HikariDataSource dataSource = place.dataSource();
        OpenTransactions open = held(place);
        OutboxSystem.Outlet outlet = system.open(place, variant);
        Deliveries deliveries = new Deliveries(place, PARTITIONS, rows, OutboxRun::rowOfPayload)) {
      outlet.fill(rows);
      tables = outlet.tables();
      wal = number(place, WAL);
      CpuTime before = CpuTime.now(postmaster);
      outlet.startRelay();
      long begin = System.nanoTime();
      deliveries.await();
      cpu = CpuTime.now(postmaster).perRow(before, rows);
      rate = rows * 1e9 / (deliveries.lastNanos() - begin);
      repeats = deliveries.repeats();
    }
    // the bookkeeping that follows the last delivery belongs to the bill
    awaitEndOfSessions(place);
    if (counts) {
      note(system, variant, workload, "drain_rows_per_second", rate);
      cpu.forEach(
          (role, micros) ->
              note(system, variant, workload, "drain_cpu_us_per_row_" + role, micros));
    }
    if (counts && system.usesPlace()) {
      note(system, variant, workload, "drain_wal_bytes_per_row", (number(place, WAL) - wal) / rows);
      note(
          system,
          variant,
          workload,
          "dead_rows_per_row",
          number(place, DEAD_ROWS.formatted(tables)) / rows);
    }
    progress.accept(
        "%-24s %-14s %-14s %,10.0f rows/s, CPU us a row %s"
            .formatted(workload, system.name(), variant, rate, rounded(cpu)));
    judge(system, variant, repeats);
    forget(place);
  }

  private static String rounded(Map<String, Double> cpu) {
    return cpu.entrySet().stream()
        .map(one -> "%s %.1f".formatted(one.getKey(), one.getValue()))
        .collect(Collectors.joining(", "));
  }

  /** Else the disk is busy with what earlier slices left. */
  private void forget(Place place) throws Exception {
    try (Admin admin = Admin.create(config.client())) {
      admin.deleteTopics(List.of(place.topic())).all().get();
    }
    try (Connection connection = postgres.dataSource("postgres").getConnection();
        Statement statement = connection.createStatement()) {
      statement.execute("DROP DATABASE %s WITH (FORCE)".formatted(database(place.number())));
    }
  }

  /** Writes at a steady pace and takes the time from each commit to the consumer. */
  void latency(OutboxSystem system, String variant, int perSecond, Duration length)
      throws Exception {
    Place place = place(system);
    int rows = (int) (perSecond * length.toSeconds());
    int cold = rows / 4;
    String workload = "%d transactions of one row a second".formatted(perSecond);
    long[] committedAt = new long[rows];
    try (HikariDataSource dataSource = place.dataSource();
        OpenTransactions open = held(place);
        OutboxSystem.Outlet outlet = system.open(place, variant);
        Deliveries deliveries = new Deliveries(place, PARTITIONS, rows, OutboxRun::rowOfKey)) {
      outlet.startRelay();
      byte[] payload =
          Place.FILLER
              .repeat(Place.PAYLOAD / Place.FILLER.length())
              .getBytes(StandardCharsets.US_ASCII);
      long begin = System.nanoTime();
      for (int i = 0; i < rows; i++) {
        long due = begin + TimeUnit.SECONDS.toNanos(i) / perSecond;
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        outlet.publish(Integer.toString(i), payload);
        committedAt[i] = System.nanoTime();
      }
      deliveries.await();
      Histogram latency = new Histogram(3);
      for (int i = cold; i < rows; i++) {
        latency.recordValue(Math.max(0, (deliveries.seenAt(i) - committedAt[i]) / 1_000));
      }
      double p50 = latency.getValueAtPercentile(50) / 1e3;
      double p99 = latency.getValueAtPercentile(99) / 1e3;
      note(system, variant, workload, "commit_to_consumer_p50_ms", p50);
      note(system, variant, workload, "commit_to_consumer_p99_ms", p99);
      progress.accept(
          "%-24s %-14s %-14s p50 %7.2f ms  p99 %7.2f ms"
              .formatted("latency", system.name(), variant, p50, p99));
      judge(system, variant, deliveries.repeats());
    }
    forget(place);
  }

  private OpenTransactions held(Place place) throws SQLException {
    return OpenTransactions.in(
        postgres, holdsTransactions ? List.of(database(place.number()), "postgres") : List.of());
  }

  private void judge(OutboxSystem system, String variant, long repeats) {
    if (repeats > 0) {
      String told = "%s %s: %d rows came again".formatted(system.name(), variant, repeats);
      progress.accept(told);
      if (system.neverRepeats()) {
        violations.add(told);
      }
    }
  }

  private static int rowOfPayload(ConsumerRecord<byte[], byte[]> record) {
    int row = 0;
    for (byte digit : record.value()) {
      if (digit < '0' || digit > '9') {
        break;
      }
      row = row * 10 + digit - '0';
    }
    return row;
  }

  private static int rowOfKey(ConsumerRecord<byte[], byte[]> record) {
    return Integer.parseInt(new String(record.key(), StandardCharsets.US_ASCII));
  }

  /** A session that ends tells the server which rows it made dead; until then that may wait. */
  private void awaitEndOfSessions(Place place) throws SQLException {
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (number(place, OTHER_SESSIONS) > 0 && System.nanoTime() < giveUp) {
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(10));
    }
  }

  private Place place(OutboxSystem system) throws Exception {
    int number = ++slices;
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(postgres.createDatabase(database(number)));
    pool.setMaximumPoolSize(system.connections());
    String topic = "slice-" + number;
    try (Admin admin = Admin.create(config.client())) {
      NewTopic made = new NewTopic(topic, Optional.of(PARTITIONS), Optional.empty());
      KafkaCluster.createTopics(admin, made);
    }
    return new Place(new HikariDataSource(pool), config, topic, number);
  }

  private static String database(int number) {
    return "slice_" + number;
  }

  private double number(Place place, String sql) throws SQLException {
    try (Connection connection = postgres.dataSource(database(place.number())).getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getDouble(1);
    }
  }

  private void note(
      OutboxSystem system, String variant, String workload, String metric, double value) {
    values
        .computeIfAbsent(
            new Subject(system.name(), variant, workload, metric), subject -> new ArrayList<>())
        .add(value);
  }

  private static String unit(String metric) {
    if (metric.endsWith("_ms")) {
      return "ms";
    }
    return metric.endsWith("per_second") ? "1/s" : metric.contains("bytes") ? "bytes" : "1";
  }
}
