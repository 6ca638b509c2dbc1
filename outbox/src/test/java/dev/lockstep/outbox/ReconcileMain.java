package dev.lockstep.outbox;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import dev.lockstep.schema.LockstepConfig;
import java.sql.SQLException;

/** A reconcile in a process of its own: {@code bootstrap name jdbcUrl}; pages are small. */
public final class ReconcileMain {

  private ReconcileMain() {}

  public static void main(String[] args) throws SQLException {
    HikariConfig pool = new HikariConfig();
    pool.setJdbcUrl(args[2]);
    pool.setMaximumPoolSize(4);
    try (HikariDataSource dataSource = new HikariDataSource(pool)) {
      ReconcileReport report =
          new OutboxAdmin(dataSource)
              .reconcile(
                  RelayOptions.of(LockstepConfig.of(args[0]), args[1]).withPageRows(5),
                  ReconcileRequest.defaults(),
                  "test",
                  "killed halfway",
                  System.out::println);
      System.out.println("done " + report);
    }
  }
}
