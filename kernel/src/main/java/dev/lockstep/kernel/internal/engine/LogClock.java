package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.LogTime;

/**
 * Reads time off LogAppendTime. Pure; rule 2 of the design.
 *
 * <p>Elapsed time: sum of forward steps, each at most two ticks, from a reference that a backward
 * step under five seconds does not move. Without that last part two leaders whose clocks differ by
 * 400 ms and who alternate would make time run ahead by 400 ms at each change.
 *
 * <p>Wall time: running maximum; a jump of more than five seconds counts only when ten ticks in a
 * row agree on it, so one broker with a wrong clock cannot fire every deadline.
 */
public record LogClock(long reference, long elapsed, long wall, int jumpTicks, long jumpTo) {

  private static final long BACKWARD_STEP_LIMIT_MS = 5_000;
  private static final long JUMP_LIMIT_MS = 5_000;
  private static final int JUMP_TICKS = 10;

  /** Returns the clock at the first record of a log. */
  public static LogClock startingAt(long timestamp) {
    return new LogClock(timestamp, 0, timestamp, 0, 0);
  }

  /** Returns the clock after a record. */
  public LogClock advance(long timestamp, int tickMillis, boolean tick) {
    long nextReference = reference;
    long step = 0;
    if (timestamp > reference) {
      step = Math.min(timestamp - reference, 2L * tickMillis);
      nextReference = timestamp;
    } else if (reference - timestamp >= BACKWARD_STEP_LIMIT_MS) {
      nextReference = timestamp;
    }
    if (timestamp - wall <= JUMP_LIMIT_MS) {
      return new LogClock(nextReference, elapsed + step, Math.max(wall, timestamp), 0, 0);
    }
    int ticks = jumpTicks;
    long to = jumpTo;
    if (tick) {
      boolean agrees = ticks > 0 && Math.abs(timestamp - to) <= JUMP_LIMIT_MS;
      ticks = agrees ? ticks + 1 : 1;
      to = agrees ? Math.max(to, timestamp) : timestamp;
    }
    if (ticks >= JUMP_TICKS) {
      return new LogClock(nextReference, elapsed + step, to, 0, 0);
    }
    return new LogClock(nextReference, elapsed + step, wall, ticks, to);
  }

  /** Returns what machines see. */
  public LogTime now() {
    return new LogTime(elapsed, wall);
  }
}
