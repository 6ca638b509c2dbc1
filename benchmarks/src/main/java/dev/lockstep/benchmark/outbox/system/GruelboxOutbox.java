package dev.lockstep.benchmark.outbox.system;

import com.gruelbox.transactionoutbox.Dialect;
import com.gruelbox.transactionoutbox.Instantiator;
import com.gruelbox.transactionoutbox.Persistor;
import com.gruelbox.transactionoutbox.Submitter;
import com.gruelbox.transactionoutbox.TransactionManager;
import com.gruelbox.transactionoutbox.TransactionOutbox;
import dev.lockstep.benchmark.outbox.OutboxSystem;
import dev.lockstep.benchmark.outbox.Place;
import java.sql.SQLException;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * gruelbox's transaction-outbox: calls are rows, and each is made and removed in a transaction of
 * its own, right after its commit or by a flush. At least once, in no order.
 */
public final class GruelboxOutbox implements OutboxSystem {

  private static final int THREADS = 32;
  private static final int FLUSH = 1_000;
  private static final long IDLE_NANOS = TimeUnit.MILLISECONDS.toNanos(10);

  /** What is called once a transaction is committed. */
  public interface Messages {

    /**
     * Sends a message and waits for the broker.
     *
     * @param key record key
     * @param payload record value, a character a byte
     */
    void send(String key, String payload);
  }

  /** Made by the command. */
  public GruelboxOutbox() {}

  @Override
  public String name() {
    return "gruelbox";
  }

  @Override
  public String version() {
    return "%s, %d threads, flushes of %,d rows, unordered, a send waits for acks=all"
        .formatted(Jars.nameOf(TransactionOutbox.class), THREADS, FLUSH);
  }

  @Override
  public List<String> variants() {
    return List.of("unordered");
  }

  @Override
  public long mostRows() {
    return 20_000;
  }

  @Override
  public int connections() {
    return THREADS + 4;
  }

  @Override
  public Outlet open(Place place, String variant) {
    return new Calls(place);
  }

  private static final class Calls implements Outlet {

    private final Place place;
    private final WaitingSender sender;
    private final ExecutorService threads = Executors.newFixedThreadPool(THREADS);
    private final TransactionManager transactions;
    private final TransactionOutbox outbox;
    private final Thread flusher = new Thread(this::flush, "gruelbox-flush");
    private volatile boolean running = true;

    Calls(Place place) {
      this.place = place;
      this.sender = new WaitingSender(place);
      this.transactions = TransactionManager.fromDataSource(place.dataSource());
      Messages messages = sender::send;
      this.outbox =
          TransactionOutbox.builder()
              .transactionManager(transactions)
              .persistor(Persistor.forDialect(Dialect.POSTGRESQL_9))
              .instantiator(Instantiator.using(type -> messages))
              .submitter(Submitter.withExecutor(threads))
              .flushBatchSize(FLUSH)
              .build();
    }

    @Override
    public void fill(long rows) throws SQLException {
      Fill.run(
          place,
          rows,
          """
          INSERT INTO txno_outbox
            (id, invocation, nextattempttime, attempts, blocked, processed, version)
          SELECT gen_random_uuid()::text,
            json_build_object(
              'c', '%s', 'm', 'send', 'p', json_build_array('String', 'String'),
              'a', json_build_array(
                json_build_object('t', 'String', 'v', %s),
                json_build_object('t', 'String', 'v', %s)))::text,
            localtimestamp, 0, false, false, 0"""
              .formatted(Messages.class.getName(), Fill.KEY_TEXT, Fill.PAYLOAD_TEXT));
    }

    @Override
    public void publish(String key, byte[] payload) {
      transactions.inTransaction(
          () -> outbox.schedule(Messages.class).send(key, WaitingSender.text(payload)));
    }

    @Override
    public void startRelay() {
      flusher.start();
    }

    @Override
    public String tables() {
      return "txno_outbox";
    }

    @Override
    public void close() throws InterruptedException {
      running = false;
      flusher.join();
      threads.shutdown();
      var unused = threads.awaitTermination(1, TimeUnit.MINUTES);
      sender.close();
    }

    private void flush() {
      while (running) {
        if (!outbox.flush()) {
          LockSupport.parkNanos(IDLE_NANOS);
        }
      }
    }
  }
}
