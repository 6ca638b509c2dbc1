package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A process of its own that holds a lock, waits, and then writes under its token, whatever became
 * of it: {@code bootstrap jdbcUrl fileToWaitFor}.
 */
public final class GuardedHolderMain {

  private GuardedHolderMain() {}

  public static void main(String[] args) throws Exception {
    LockClientOptions options =
        LockClientOptions.of(LockstepConfig.of(args[0])).withTtl(Duration.ofSeconds(2));
    try (LockClient client = LockClient.connect(options);
        Connection connection = DriverManager.getConnection(args[1])) {
      Lease lease = client.lock("guarded").acquire(Duration.ofSeconds(20));
      System.out.println("holds " + lease.token());
      while (!Files.exists(Path.of(args[2]))) {
        TimeUnit.MILLISECONDS.sleep(20);
      }
      connection.setAutoCommit(false);
      try {
        JdbcFence.require(connection, lease.tokens());
        connection.commit();
        System.out.println("written");
      } catch (StaleTokenException e) {
        connection.rollback();
        System.out.println("refused: " + e.getMessage());
      }
    }
  }
}
