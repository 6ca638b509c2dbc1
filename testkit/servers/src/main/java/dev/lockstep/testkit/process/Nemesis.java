package dev.lockstep.testkit.process;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Does harm while a test works: one fault at a time, chosen and timed by a seed, each healed again.
 * What it did is kept, to be printed when the test fails. Thread-safe.
 */
public final class Nemesis implements AutoCloseable {

  /**
   * Something that breaks, and how it is healed.
   *
   * @param name for the history
   * @param begin breaks it
   * @param end heals it
   */
  public record Fault(String name, Runnable begin, Runnable end) {}

  /**
   * Bounds of a duration that is chosen at random.
   *
   * @param least shortest
   * @param most longest
   */
  public record Span(Duration least, Duration most) {

    private long choose(Random random) {
      return least.toMillis() + random.nextInt((int) (most.minus(least).toMillis() + 1));
    }
  }

  private final long seed;
  private final List<Fault> faults;
  private final Span calm;
  private final Span harm;
  private final List<String> history = new ArrayList<>(); // guarded by itself
  private final CountDownLatch closing = new CountDownLatch(1);
  private final long begun = System.nanoTime();
  private final Thread thread;
  private volatile @Nullable Throwable failure;

  private Nemesis(long seed, Span calm, Span harm, List<Fault> faults) {
    this.seed = seed;
    this.calm = calm;
    this.harm = harm;
    this.faults = List.copyOf(faults);
    this.thread = new Thread(this::run, "nemesis");
    thread.setDaemon(true);
  }

  /**
   * Starts doing harm.
   *
   * @param seed the same seed does the same in the same order
   * @param calm time between two faults
   * @param harm time for which a fault lasts
   * @param faults what may happen
   * @return the nemesis; closing it heals what is broken
   */
  public static Nemesis start(long seed, Span calm, Span harm, List<Fault> faults) {
    Nemesis nemesis = new Nemesis(seed, calm, harm, faults);
    nemesis.thread.start();
    return nemesis;
  }

  /**
   * Returns what happened so far.
   *
   * @return the seed, then one line per event with its milliseconds since the start
   */
  public List<String> history() {
    synchronized (history) {
      List<String> all = new ArrayList<>();
      all.add("seed " + seed);
      all.addAll(history);
      return all;
    }
  }

  /**
   * Stops when the fault at hand is healed.
   *
   * @throws IllegalStateException when a fault could not be made or healed
   */
  @Override
  public void close() {
    closing.countDown();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    if (failure != null) {
      throw new IllegalStateException("Nemesis failed: " + history(), failure);
    }
  }

  private void run() {
    Random random = new Random(seed);
    try {
      while (!closing.await(calm.choose(random), TimeUnit.MILLISECONDS)) {
        Fault fault = faults.get(random.nextInt(faults.size()));
        long millis = harm.choose(random);
        note(fault.name());
        fault.begin().run();
        try {
          var unused = closing.await(millis, TimeUnit.MILLISECONDS);
        } finally {
          fault.end().run();
          note(fault.name() + " is over");
        }
      }
    } catch (Throwable e) {
      failure = e;
      note("failed: " + e);
    }
  }

  private void note(String what) {
    synchronized (history) {
      history.add((System.nanoTime() - begun) / 1_000_000 + " ms: " + what);
    }
  }
}
