package dev.lockstep.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;

/** A relay in a process of its own: {@code bootstrap name jdbcUrl [wal]}. */
public final class RelayMain {

  private RelayMain() {}

  public static void main(String[] args) throws InterruptedException {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(args[2]);
    RelayOptions ledger = RelayOptions.of(LockstepConfig.of(args[0]), args[1]);
    OutboxRelay relay =
        OutboxRelay.start(
            new Outbox(new HikariDataSource(pool)),
            args.length == 3 ? ledger : ledger.withWal(WalSource.of(args[2], new Properties())));
    Runtime.getRuntime().addShutdownHook(new Thread(relay::close));
    new CountDownLatch(1).await();
  }
}
