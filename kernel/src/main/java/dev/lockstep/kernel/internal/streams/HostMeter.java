package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.HostStats;
import java.util.concurrent.atomic.LongAdder;

/** Counts what a host does. Thread-safe. */
public final class HostMeter {

  private final LongAdder folded = new LongAdder();
  private final LongAdder announced = new LongAdder();
  private final LongAdder pending = new LongAdder();
  private final LongAdder commits = new LongAdder();
  private final LongAdder commitNanos = new LongAdder();

  void folded() {
    folded.increment();
  }

  void announced() {
    announced.increment();
    pending.increment();
  }

  /** Effects are acknowledged, or given up together with their lane. */
  void settled(long effects) {
    pending.add(-effects);
  }

  void committed(long nanos) {
    commits.increment();
    commitNanos.add(nanos);
  }

  HostStats read() {
    return new HostStats(
        folded.sum(), announced.sum(), pending.sum(), commits.sum(), commitNanos.sum());
  }
}
