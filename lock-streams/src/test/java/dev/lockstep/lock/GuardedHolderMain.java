package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;

/**
 * A process of its own that holds a lock, waits, and then writes under its token, whatever became
 * of it: {@code bootstrap jdbcUrl fileToWaitFor}.
 */
public final class GuardedHolderMain {

  private GuardedHolderMain() {}

  public static void main(String[] args) throws Exception {
    try (Connection connection = DriverManager.getConnection(args[1])) {
      connection.setAutoCommit(false);
      HolderProcess.run(
          LockstepConfig.of(args[0]),
          "guarded",
          Path.of(args[2]),
          () -> {},
          lease -> {
            try {
              JdbcFence.require(connection, lease.tokens());
              connection.commit();
              System.out.println("written");
            } catch (StaleTokenException e) {
              connection.rollback();
              System.out.println("refused: " + e.getMessage());
            }
          });
    }
  }
}
