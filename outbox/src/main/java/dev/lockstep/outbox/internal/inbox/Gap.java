package dev.lockstep.outbox.internal.inbox;

import org.jspecify.annotations.Nullable;

/**
 * Records of a partition that are gone and that nobody handled. Pure.
 *
 * @param next offset that should come next
 * @param goesOnAt first offset that can come next
 */
public record Gap(long next, long goesOnAt) {

  /** Returns what is missing; null: nothing is. */
  static @Nullable Gap between(long next, long beginning, long end) {
    if (next < beginning) {
      return new Gap(next, beginning);
    }
    return next > end ? new Gap(next, end) : null;
  }

  /** Tells whether the topic ends before what was handled: for a moment, or for good. */
  boolean isAtTheEnd() {
    return next > goesOnAt;
  }

  /** Returns what happened, for people. */
  public String describe() {
    return !isAtTheEnd()
        ? "offsets %d to %d were deleted before they were handled".formatted(next, goesOnAt - 1)
        : "the topic ends at %d, %d was handled: it lost its end".formatted(goesOnAt, next);
  }
}
