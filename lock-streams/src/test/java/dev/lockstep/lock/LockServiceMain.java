package dev.lockstep.lock;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/** A process of its own that decides locks: {@code bootstrap stateDirectory}. */
public final class LockServiceMain {

  private LockServiceMain() {}

  public static void main(String[] args) throws Exception {
    LockstepConfig config = LockstepConfig.of(args[0]);
    LockService service = LockService.start(HostOptions.tuned(config, Path.of(args[1])));
    Runtime.getRuntime().addShutdownHook(new Thread(service::close));
    new CountDownLatch(1).await();
  }
}
