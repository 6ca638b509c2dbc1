package dev.lockstep.benchmark.locks.system;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.lock.LockService;
import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/** A process of its own that decides locks: {@code bootstrap stateDirectory}. */
public final class LockServiceMain {

  private LockServiceMain() {}

  /**
   * Runs until it is killed.
   *
   * @param args bootstrap servers, state directory
   * @throws InterruptedException when it is to end
   */
  public static void main(String[] args) throws InterruptedException {
    LockstepConfig config = LockstepConfig.of(args[0]);
    HostOptions options = HostOptions.tuned(config, Path.of(args[1]));
    try (LockService service = LockService.start(options)) {
      System.out.println("started " + service.health());
      new CountDownLatch(1).await();
    }
  }
}
