package dev.lockstep.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** A relay in a process of its own: {@code bootstrap name jdbcUrl pageRows [wal]}. */
public final class RelayMain {

  private RelayMain() {}

  public static void main(String[] args) throws InterruptedException {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(args[2]);
    RelayOptions ledger =
        RelayOptions.of(LockstepConfig.of(args[0]), args[1])
            .withPageRows(Integer.parseInt(args[3]));
    RelayOptions options =
        args.length == 4 ? ledger : ledger.withWal(WalSource.of(args[2], new Properties()));
    OutboxRelay relay = start(new Outbox(new HikariDataSource(pool)), options);
    Runtime.getRuntime().addShutdownHook(new Thread(relay::close));
    new CountDownLatch(1).await();
  }

  /** As often as a supervisor would: while a reconcile is under way no relay may start. */
  private static OutboxRelay start(Outbox outbox, RelayOptions options) {
    while (true) {
      try {
        return OutboxRelay.start(outbox, options);
      } catch (OutboxException e) {
        System.out.println("Not started: " + e);
        LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(200));
      }
    }
  }
}
