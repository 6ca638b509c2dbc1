package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/**
 * A process of its own that holds a lock until a file appears, and tells the wall clock and every
 * change of its lease: {@code bootstrap fileToWaitFor}.
 */
public final class LongHolderMain {

  private LongHolderMain() {}

  public static void main(String[] args) throws Exception {
    LockClientOptions options =
        LockClientOptions.of(LockstepConfig.of(args[0])).withTtl(Duration.ofSeconds(2));
    try (LockClient client = LockClient.connect(options)) {
      Lease lease = client.lock("long").acquire(Duration.ofSeconds(20));
      lease.onChange(state -> System.out.println("changed to " + state));
      System.out.println("holds " + lease.token());
      while (!Files.exists(Path.of(args[1]))) {
        System.out.println("clock " + System.currentTimeMillis());
        TimeUnit.MILLISECONDS.sleep(200);
      }
      lease.ensureValid();
      System.out.println("released " + lease.release().get(20, TimeUnit.SECONDS));
    }
  }
}
