package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;

/**
 * A process of its own that locks all kinds of things: {@code bootstrap seed milliseconds}. Prints
 * a line {@code held name key token from to} for each time that it knew itself the only holder.
 */
public final class RandomLockingMain {

  private static final int THREADS = 3;

  private RandomLockingMain() {}

  public static void main(String[] args) throws Exception {
    long seed = Long.parseLong(args[1]);
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(Long.parseLong(args[2]));
    RandomLocking locking =
        new RandomLocking(
            (name, key, token, from, to) ->
                System.out.println(
                    "held " + name + " " + key + " " + token + " " + from + " " + to));
    try (LockClient client =
        LockClient.connect(
            LockClientOptions.of(LockstepConfig.of(args[0])).withTtl(Duration.ofSeconds(3)))) {
      List<Thread> threads = new ArrayList<>();
      for (int t = 0; t < THREADS; t++) {
        String name = "other-" + t;
        Random random = new Random(seed * 17 + t);
        threads.add(
            new Thread(
                () -> {
                  try {
                    while (System.nanoTime() < end) {
                      locking.act(client, name, random);
                    }
                  } catch (Exception e) {
                    e.printStackTrace();
                    System.exit(1);
                  }
                }));
      }
      threads.forEach(Thread::start);
      for (Thread thread : threads) {
        thread.join();
      }
    }
    System.out.println("ended " + locking.granted() + " " + locking.failures());
  }
}
