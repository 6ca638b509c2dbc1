package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * What processes of their own that hold a lock have in common: a time to live of 2 s, and a wait.
 */
final class HolderProcess {

  /** What it does under its lease, whatever became of it. */
  @FunctionalInterface
  interface Work {

    void run(Lease lease) throws Exception;
  }

  private HolderProcess() {}

  /**
   * Acquires a lock, says so, and works when a file appears.
   *
   * @param meanwhile called every 20 ms until then
   */
  static void run(LockstepConfig config, String key, Path go, Runnable meanwhile, Work work)
      throws Exception {
    LockClientOptions options = LockClientOptions.of(config).withTtl(Duration.ofSeconds(2));
    try (LockClient client = LockClient.connect(options)) {
      Lease lease = client.lock(key).acquire(Duration.ofSeconds(20));
      lease.onChange(state -> System.out.println("changed to " + state));
      System.out.println("holds " + lease.token());
      while (!Files.exists(go)) {
        meanwhile.run();
        TimeUnit.MILLISECONDS.sleep(20);
      }
      work.run(lease);
    }
  }
}
