package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.WalSource;
import dev.lockstep.outbox.internal.sql.Connections;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import javax.sql.DataSource;
import org.jspecify.annotations.Nullable;
import org.postgresql.replication.LogSequenceNumber;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Follows the log for all shards of a relay, on a thread of its own, and begins again when the log
 * is lost. Thread-safe.
 */
final class WalFeed implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(WalFeed.class);
  private static final long BACKOFF_MS = 1_000;
  private static final long MARK_NANOS = TimeUnit.MILLISECONDS.toNanos(100);
  private static final long SILENCE_NANOS = TimeUnit.SECONDS.toNanos(5);
  private static final int MOST_ROWS = 10_000;

  private final WalSource source;
  private final DataSource dataSource;
  private final String name;
  private final int shards;
  private final Map<Integer, WalQueue> queues = new ConcurrentHashMap<>();
  private final Thread thread;
  private volatile String history = "";
  private volatile long readAt;
  private volatile boolean stopping;
  private volatile @Nullable WalStream current;
  private volatile @Nullable String fault = "the log is not followed yet";

  /**
   * @param shards of each lane
   */
  WalFeed(WalSource source, DataSource dataSource, String name, int shards) {
    this.source = source;
    this.dataSource = dataSource;
    this.name = name;
    this.shards = shards;
    this.thread = new Thread(this::run, "outbox-" + name + "-wal");
    thread.setDaemon(true);
  }

  void start() {
    thread.start();
  }

  /** Why the log is not followed; null: it is. */
  @Nullable String fault() {
    return fault;
  }

  /**
   * Makes the queue of a shard; an earlier one gets nothing more.
   *
   * @param wake called when there is something in it
   */
  WalQueue queue(int shard, Runnable wake) {
    WalQueue queue = new WalQueue(wake, this::doubt);
    synchronized (this) {
      WalQueue before = queues.put(shard, queue);
      if (before != null) {
        before.end();
      }
      queue.begin(history);
    }
    return queue;
  }

  @Override
  public void close() {
    stopping = true;
    thread.interrupt();
    WalStream stream = current;
    if (stream != null) {
      close(stream);
    }
  }

  private void run() {
    while (!stopping) {
      try (WalStream stream = WalStream.open(source);
          Connection connection = Connections.committing(dataSource)) {
        current = stream;
        if (!stopping) {
          String of = stream.history(connection);
          stream.follow(new PgOutput(new Router(connection)), () -> begin(of));
        }
      } catch (Throwable e) {
        // whatever it is, without this thread nobody would follow the log again
        fault = "the log cannot be followed: " + e.getMessage();
        if (!stopping) {
          LOG.warn("Outbox '{}' reads its ledger: {}", name, fault, e);
        }
      } finally {
        end();
      }
      pause();
    }
  }

  private synchronized void begin(String of) {
    readAt = System.nanoTime();
    fault = null;
    history = of;
    queues.values().forEach(queue -> queue.begin(of));
  }

  /** Commits were found that the log did not bring: its connection may be dead. */
  private void doubt() {
    WalStream stream = current;
    if (stream != null && !history.isEmpty() && System.nanoTime() - readAt > SILENCE_NANOS) {
      LOG.warn("Outbox '{}' begins anew to follow the log: it is silent", name);
      try {
        stream.abort();
      } catch (SQLException e) {
        LOG.debug("A connection for replication was not closed", e);
      }
    }
  }

  private synchronized void end() {
    history = "";
    queues.values().forEach(WalQueue::end);
  }

  private void pause() {
    try {
      if (!stopping) {
        TimeUnit.MILLISECONDS.sleep(BACKOFF_MS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void close(WalStream stream) {
    try {
      stream.close();
    } catch (SQLException e) {
      LOG.debug("A connection for replication was not closed", e);
    }
  }

  /** Gives each shard its rows when their transaction is complete. */
  private final class Router implements PgOutput.Reader {

    private final Connection connection;
    private final ShardOf shardOf = new ShardOf(shards);
    private final Map<Integer, List<LedgerRow>> rows = new HashMap<>();
    private final Set<Integer> large = new TreeSet<>();
    private long xid;
    private long bytes;
    private int count;
    private long markedAt = System.nanoTime();

    /** What the database saw, and where its log was then. */
    private @Nullable String snapshot;

    private long snapshotLsn;

    Router(Connection connection) {
      this.connection = connection;
    }

    @Override
    public void begin(long commitLsn) throws SQLException {
      readAt = System.nanoTime();
      rows.clear();
      large.clear();
      bytes = 0;
      count = 0;
      String mark = snapshot;
      if (mark != null && Long.compareUnsigned(commitLsn, snapshotLsn) >= 0) {
        queues.values().forEach(queue -> queue.offer(new WalItem.Mark(mark)));
        snapshot = null;
      }
      if (snapshot == null && System.nanoTime() - markedAt > MARK_NANOS) {
        look();
      }
    }

    /** Positions stay small by it: transactions without rows need not be listed. */
    private void look() throws SQLException {
      try (Statement statement = connection.createStatement();
          ResultSet row =
              // the snapshot is taken before the place in the log is asked for: what it sees is
              // written before that place
              statement.executeQuery(
                  "SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text")) {
        row.next();
        snapshot = row.getString(1);
        snapshotLsn = LogSequenceNumber.valueOf(row.getString(2)).asLong();
      }
      markedAt = System.nanoTime();
    }

    @Override
    public void inserted(long transaction, LedgerRow row) {
      xid = transaction;
      int shard = shardOf.of(row);
      count++;
      bytes += row.bytes();
      if (count > MOST_ROWS || bytes > PageSize.BYTES) {
        large.addAll(rows.keySet());
        large.add(shard);
        rows.clear();
      } else {
        rows.computeIfAbsent(shard, none -> new ArrayList<>()).add(row);
      }
    }

    @Override
    public void commit(long endLsn) {
      rows.forEach(
          (shard, own) -> {
            own.sort((one, other) -> Long.compare(one.seq(), other.seq()));
            offer(shard, new WalItem.Committed(xid, List.copyOf(own)));
          });
      large.forEach(shard -> offer(shard, new WalItem.Committed(xid, List.of())));
    }

    private void offer(int shard, WalItem item) {
      WalQueue queue = queues.get(shard);
      if (queue != null) {
        queue.offer(item);
      }
    }
  }
}
