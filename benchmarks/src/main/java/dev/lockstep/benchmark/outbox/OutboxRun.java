package dev.lockstep.benchmark.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.benchmark.report.Measured;
import dev.lockstep.benchmark.report.Measured.Subject;
import dev.lockstep.schema.LockstepConfig;
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
import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Consumer;
import org.HdrHistogram.Histogram;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/** Measures outboxes in turns, each slice in a database and a topic of its own. */
final class OutboxRun {

  private static final int PARTITIONS = 8;
  private static final long PATIENCE_NANOS = TimeUnit.MINUTES.toNanos(10);

  private final PostgresServer postgres;
  private final LockstepConfig config;
  private final Consumer<String> progress;
  private final Map<Subject, List<Double>> values = new LinkedHashMap<>();
  private final List<String> violations = new ArrayList<>();
  private int slices;

  OutboxRun(PostgresServer postgres, LockstepConfig config, Consumer<String> progress) {
    this.postgres = postgres;
    this.config = config;
    this.progress = progress;
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

  /** Lets a system empty a backlog. */
  void drain(OutboxSystem system, String variant, long rows, boolean counts) throws Exception {
    Place place = place();
    String workload = "backlog of %,d rows".formatted(rows);
    try (HikariDataSource dataSource = place.dataSource();
        OutboxSystem.Outlet outlet = system.open(place, variant);
        Deliveries deliveries = new Deliveries(place, PARTITIONS, record -> {})) {
      outlet.fill(rows);
      long wal = number(dataSource, "SELECT pg_current_wal_lsn() - '0/0'");
      long begin = System.nanoTime();
      outlet.startRelay();
      await(deliveries, rows);
      double seconds = (deliveries.lastNanos() - begin) / 1e9;
      double rate = rows / seconds;
      if (counts) {
        note(system, variant, workload, "drain_rows_per_second", rate);
        note(
            system,
            variant,
            workload,
            "drain_wal_bytes_per_row",
            (number(dataSource, "SELECT pg_current_wal_lsn() - '0/0'") - wal) / (double) rows);
        note(
            system,
            variant,
            workload,
            "dead_rows_per_row",
            number(
                    dataSource,
                    "SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables WHERE relname LIKE '"
                        + outlet.tables()
                        + "%'")
                / (double) rows);
      }
      progress.accept(
          "%-24s %-14s %-14s %,10.0f rows/s".formatted(workload, system.name(), variant, rate));
      if (deliveries.count() != rows) {
        violations.add(
            "%s %s: %d rows came, %d were stored"
                .formatted(system.name(), variant, deliveries.count(), rows));
      }
    }
  }

  /** Writes at a steady pace and takes the time from each commit to the consumer. */
  void latency(OutboxSystem system, String variant, int perSecond, Duration length)
      throws Exception {
    Place place = place();
    int rows = (int) (perSecond * length.toSeconds());
    int cold = rows / 4;
    String workload = "%d transactions of one row a second".formatted(perSecond);
    AtomicLongArray committedAt = new AtomicLongArray(rows);
    AtomicLongArray seenAt = new AtomicLongArray(rows);
    try (HikariDataSource dataSource = place.dataSource();
        OutboxSystem.Outlet outlet = system.open(place, variant);
        Deliveries deliveries =
            new Deliveries(
                place,
                PARTITIONS,
                record ->
                    seenAt.compareAndSet(
                        Integer.parseInt(new String(record.key(), StandardCharsets.UTF_8)),
                        0,
                        System.nanoTime()))) {
      outlet.startRelay();
      byte[] payload = new byte[Place.PAYLOAD];
      long begin = System.nanoTime();
      for (int i = 0; i < rows; i++) {
        long due = begin + TimeUnit.SECONDS.toNanos(i) / perSecond;
        while (System.nanoTime() < due) {
          LockSupport.parkNanos(due - System.nanoTime());
        }
        outlet.publish(Integer.toString(i), payload);
        committedAt.set(i, System.nanoTime());
      }
      await(deliveries, rows);
      Histogram latency = new Histogram(3);
      for (int i = cold; i < rows; i++) {
        latency.recordValue(Math.max(0, (seenAt.get(i) - committedAt.get(i)) / 1_000));
      }
      double p50 = latency.getValueAtPercentile(50) / 1e3;
      double p99 = latency.getValueAtPercentile(99) / 1e3;
      note(system, variant, workload, "commit_to_consumer_p50_ms", p50);
      note(system, variant, workload, "commit_to_consumer_p99_ms", p99);
      progress.accept(
          "%-24s %-14s %-14s p50 %7.2f ms  p99 %7.2f ms"
              .formatted("latency", system.name(), variant, p50, p99));
    }
  }

  private static void await(Deliveries deliveries, long rows) {
    long giveUp = System.nanoTime() + PATIENCE_NANOS;
    while (deliveries.count() < rows) {
      if (System.nanoTime() > giveUp) {
        throw new IllegalStateException(
            "%d of %d rows came within ten minutes".formatted(deliveries.count(), rows));
      }
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(1));
    }
  }

  private Place place() throws Exception {
    int number = ++slices;
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(postgres.createDatabase("slice_" + number));
    pool.setMaximumPoolSize(12);
    String topic = "slice-" + number;
    try (Admin admin = Admin.create(config.client())) {
      NewTopic made = new NewTopic(topic, Optional.of(PARTITIONS), Optional.empty());
      admin.createTopics(List.of(made)).all().get();
    }
    return new Place(new HikariDataSource(pool), config, topic, number);
  }

  private static long number(HikariDataSource dataSource, String sql) throws SQLException {
    try (Connection connection = dataSource.getConnection();
        Statement statement = connection.createStatement();
        ResultSet row = statement.executeQuery(sql)) {
      row.next();
      return row.getLong(1);
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
