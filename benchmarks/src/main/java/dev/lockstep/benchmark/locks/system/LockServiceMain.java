package dev.lockstep.benchmark.locks.system;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.lock.LockService;
import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.concurrent.CountDownLatch;

/**
 * A process of its own that decides locks: {@code bootstrap stateDirectory tuned|stock}, and {@code
 * twin} for one that only announces.
 */
public final class LockServiceMain {

  private LockServiceMain() {}

  /**
   * Runs until it is killed, or ends in order when it is told to.
   *
   * @param args bootstrap servers, state directory, profile, {@code twin} or nothing
   * @throws Exception when it cannot start
   */
  public static void main(String[] args) throws Exception {
    LockstepConfig config = LockstepConfig.of(args[0]);
    Path state = Path.of(args[1]);
    HostOptions options =
        args[2].equals("stock")
            ? HostOptions.stock(config, state)
            : HostOptions.tuned(config, state);
    boolean twin = args.length > 3 && args[3].equals("twin");
    AutoCloseable running = twin ? LockService.startTwin(options) : LockService.start(options);
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(running)));
    System.out.println("started " + running.getClass().getSimpleName());
    new CountDownLatch(1).await();
  }

  private static void close(AutoCloseable running) {
    try {
      running.close();
    } catch (Exception e) {
      throw new IllegalStateException("Lock service could not be closed", e);
    }
  }
}
