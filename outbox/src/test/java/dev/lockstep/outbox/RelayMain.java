package dev.lockstep.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import java.util.concurrent.CountDownLatch;

/** A relay in a process of its own: {@code bootstrap name jdbcUrl}. */
public final class RelayMain {

  private RelayMain() {}

  public static void main(String[] args) throws InterruptedException {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(args[2]);
    OutboxRelay relay =
        OutboxRelay.start(
            new Outbox(new HikariDataSource(pool)),
            RelayOptions.of(LockstepConfig.of(args[0]), args[1]));
    Runtime.getRuntime().addShutdownHook(new Thread(relay::close));
    new CountDownLatch(1).await();
  }
}
