package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.Announcement;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;

/**
 * Effects that wait for others, so that they leave in one request instead of two or more. Their
 * order never changes. Not thread-safe.
 *
 * <p>Each poll and each send is a request to the brokers, and a few full ones cost less than many
 * small ones (decision 0012). So what nobody waits for is kept for a while, unless something that
 * is waited for takes it along; and where nobody has waited for anything, the next poll may wait as
 * well.
 */
final class HeldEffects {

  /** What nobody waits for leaves this much later at most. */
  static final Duration LEISURE = Duration.ofMillis(5);

  /** Who waited for an effect within this time will soon wait for another one. */
  static final Duration PROMPT = Duration.ofSeconds(1);

  /** So many make a full request: a rest would make none cheaper, only come in bursts. */
  static final int FULL = 64;

  static final int MOST = 256;

  private final LongSupplier nanoTime;
  private List<Announcement> held = new ArrayList<>();
  private boolean awaited;
  private long since;
  private long promptSince;

  HeldEffects(LongSupplier nanoTime) {
    this.nanoTime = nanoTime;
    this.promptSince = nanoTime.getAsLong();
  }

  /** Adds some. Returns true when they are too many to be kept. */
  boolean add(List<Announcement> effects) {
    if (effects.isEmpty()) {
      return false;
    }
    long now = nanoTime.getAsLong();
    if (held.isEmpty()) {
      since = now;
    }
    held.addAll(effects);
    awaited |= !effects.stream().allMatch(Announcement::atLeisure);
    if (awaited || held.size() >= FULL) {
      promptSince = now;
    }
    return held.size() >= MOST;
  }

  /** Returns when they are due: 0 or less for now, much when there are none. */
  long nanosLeft() {
    if (held.isEmpty()) {
      return TimeUnit.DAYS.toNanos(1);
    }
    return awaited ? 0 : since + LEISURE.toNanos() - nanoTime.getAsLong();
  }

  /** Tells whether nobody minds when nothing is polled until they are due. */
  boolean mayRest() {
    return !held.isEmpty() && !awaited && nanoTime.getAsLong() - promptSince >= PROMPT.toNanos();
  }

  /** Returns all, and holds none of them any more. */
  List<Announcement> take() {
    List<Announcement> taken = held;
    held = new ArrayList<>();
    awaited = false;
    return taken;
  }
}
