package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.time.Clock;
import java.util.concurrent.TimeUnit;

/**
 * A process of its own that holds a lock until a file appears, and tells its wall clock: {@code
 * bootstrap fileToWaitFor}.
 */
public final class LongHolderMain {

  private LongHolderMain() {}

  public static void main(String[] args) throws Exception {
    Clock wall = Clock.systemUTC();
    HolderProcess.run(
        LockstepConfig.of(args[0]),
        "long",
        Path.of(args[1]),
        () -> System.out.println("clock " + wall.millis()),
        lease -> {
          lease.ensureValid();
          System.out.println("released " + lease.release().get(20, TimeUnit.SECONDS));
        });
  }
}
