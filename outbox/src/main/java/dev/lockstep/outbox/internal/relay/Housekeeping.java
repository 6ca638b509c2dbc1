package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.outbox.internal.sql.Connections;
import dev.lockstep.outbox.internal.sql.Dialect;
import dev.lockstep.outbox.internal.write.TopicTable;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import javax.sql.DataSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What a relay does beside publishing, on a thread of its own: looks at the topics, moves delayed
 * messages into the ledger when they are due, and truncates segments. All of it is safe when
 * several relays do it; to save work only the owner of shard 0 changes anything.
 */
final class Housekeeping implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(Housekeeping.class);
  private static final long TOPICS_MS = 1_000;
  private static final long LIMITS_MS = 30_000;
  private static final long BACKLOG_MS = 800;
  private static final long DUE_MS = 100;
  private static final long SEGMENTS_MS = 5_000;

  private final DataSource dataSource;
  private final TopicTable topics;
  private final Destinations destinations;
  private final boolean hasSegments;
  private final Segments segments;
  private final Scheduled scheduled;
  private final BooleanSupplier isFirst;
  private final Runnable wake;
  private final Measure measure;
  private final Map<String, String> refused = new ConcurrentHashMap<>();
  private final ScheduledExecutorService thread;
  private final String name;

  /**
   * @param isFirst tells whether this relay owns shard 0
   * @param wake called when rows were added to the ledger
   * @param measure looks at what waits
   */
  Housekeeping(
      DataSource dataSource,
      Dialect dialect,
      TopicTable topics,
      Destinations destinations,
      RelayOptions options,
      BooleanSupplier isFirst,
      Runnable wake,
      Measure measure) {
    this.dataSource = dataSource;
    this.topics = topics;
    this.destinations = destinations;
    this.hasSegments = dialect.hasSnapshots();
    this.segments = new Segments(dataSource, options);
    this.scheduled = new Scheduled(dataSource, dialect);
    this.isFirst = isFirst;
    this.wake = wake;
    this.measure = measure;
    this.name = options.name();
    this.thread =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread made = new Thread(task, "outbox-" + name + "-housekeeping");
              made.setDaemon(true);
              return made;
            });
  }

  void start() {
    every(TOPICS_MS, "topics are not looked at", this::lookAtTopics);
    every(LIMITS_MS, "limits of topics are not written down for writers", this::keepLimits);
    every(DUE_MS, "delayed messages stay where they are, due or not", this::moveDue);
    every(BACKLOG_MS, "what waits is not counted", this::measure);
    if (hasSegments) {
      every(SEGMENTS_MS, "rows that are published are not truncated", this::truncate);
    }
  }

  /** What the database refuses for good, until somebody changes rights or tables. */
  List<String> notes() {
    return refused.values().stream().sorted().toList();
  }

  @Override
  public void close() {
    thread.shutdownNow();
    destinations.close();
  }

  /** Looks at what waits. */
  interface Measure {
    void of(Connection connection) throws SQLException;
  }

  private interface Chore {
    void run() throws SQLException, InterruptedException;
  }

  private void every(long millis, String otherwise, Chore chore) {
    var unused =
        thread.scheduleWithFixedDelay(
            () -> run(otherwise, chore), millis, millis, TimeUnit.MILLISECONDS);
  }

  /**
   * @param otherwise what people notice while it cannot be done
   */
  private void run(String otherwise, Chore chore) {
    try {
      chore.run();
      refused.remove(otherwise);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (SQLException e) {
      if (Segments.isRefused(e)) {
        String note =
            "%s: %s; give the relay its role again, as roles-postgresql.sql and roles-mariadb.sql in the jar do"
                .formatted(otherwise, e.getMessage());
        if (!note.equals(refused.put(otherwise, note))) {
          LOG.warn("Outbox '{}': {}", name, note);
        }
      } else {
        LOG.debug("Housekeeping of outbox '{}' is tried again", name, e);
      }
    } catch (RuntimeException e) {
      // the shards tell when a server is away; this is tried again
      LOG.debug("Housekeeping of outbox '{}' is tried again", name, e);
    }
  }

  private void lookAtTopics() throws SQLException, InterruptedException {
    destinations.look(topics.registered());
  }

  private void keepLimits() throws SQLException, InterruptedException {
    if (!isFirst.getAsBoolean()) {
      return;
    }
    Set<String> registered = topics.registered();
    Map<String, Integer> limits = destinations.limits(registered);
    try (Connection connection = Connections.committing(dataSource);
        PreparedStatement update =
            connection.prepareStatement(
                "UPDATE lockstep_outbox_topic SET max_bytes = ?"
                    + " WHERE topic = ? AND max_bytes <> ?")) {
      for (Map.Entry<String, Integer> limit : limits.entrySet()) {
        // headers that the relay adds, and the batch around a record
        int bytes = Math.max(1, limit.getValue() - Math.min(1_000, limit.getValue() / 10));
        update.setInt(1, bytes);
        update.setString(2, limit.getKey());
        update.setInt(3, bytes);
        update.executeUpdate();
      }
    }
  }

  private void moveDue() throws SQLException {
    if (!isFirst.getAsBoolean()) {
      return;
    }
    int moved = scheduled.moveDue();
    if (moved > 0) {
      wake.run();
    }
  }

  private void measure() throws SQLException {
    try (Connection connection = Connections.committing(dataSource)) {
      measure.of(connection);
    }
  }

  private void truncate() throws SQLException {
    if (isFirst.getAsBoolean()) {
      segments.truncateOld();
    }
  }
}
