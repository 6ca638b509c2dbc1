package dev.lockstep.lock;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/**
 * A process of its own that decides locks: {@code bootstrap stateDirectory}, and {@code twin} for
 * one that only announces.
 */
public final class LockServiceMain {

  private LockServiceMain() {}

  public static void main(String[] args) throws Exception {
    LockstepConfig config = LockstepConfig.of(args[0]);
    HostOptions options = HostOptions.tuned(config, Path.of(args[1]));
    if (args.length > 2 && args[2].equals("twin")) {
      Runtime.getRuntime().addShutdownHook(new Thread(LockService.startTwin(options)::close));
    } else {
      Runtime.getRuntime().addShutdownHook(new Thread(LockService.start(options)::close));
    }
    new CountDownLatch(1).await();
  }
}
