package dev.lockstep.testkit.saga;

import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.saga.Direction;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.StepCommand;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What happened to a saga, and what of it the test has not looked at yet. */
final class Story {

  private final List<String> lines = new ArrayList<>();
  private final Deque<Object> unseen = new ArrayDeque<>();

  void happened(String what, List<Effect> effects) {
    lines.add(what);
    for (Effect effect : effects) {
      Object value = effect.value();
      String line = describe(value);
      if (!line.isEmpty()) {
        lines.add("  -> " + line);
      }
      // public facts repeat what commands and ends say; releases follow from the end
      if (value instanceof StepCommand
          || value instanceof Acquire
          || value instanceof SagaEnded
          || value instanceof Rejected) {
        unseen.add(value);
      }
    }
  }

  /** Returns what the saga did next, which must be of a type. */
  <T> T next(Class<T> type, String wanted) {
    Object next = unseen.poll();
    if (!type.isInstance(next)) {
      throw failed(wanted, next == null ? "nothing" : describe(next));
    }
    return type.cast(next);
  }

  <T> T open(@Nullable T question, String what) {
    if (question == null) {
      throw failed("an open question to answer: " + what, "none");
    }
    return question;
  }

  void require(boolean isMet, String wanted, String got) {
    if (!isMet) {
      throw failed(wanted, got);
    }
  }

  void requireQuiet() {
    Object next = unseen.peek();
    if (next != null) {
      throw failed("nothing more", describe(next));
    }
  }

  static String describe(Direction direction, String step, @Nullable Object command) {
    String what =
        switch (direction) {
          case ACTION -> "command of '";
          case COMPENSATION -> "compensation of '";
          case CANCEL -> "cancel of '";
        };
    return what + step + "'" + (command == null ? "" : " " + command);
  }

  private static String describe(Object value) {
    if (value instanceof StepCommand command) {
      return describe(command.getDirection(), command.getStep(), null)
          + ", attempt "
          + command.getAttempt();
    } else if (value instanceof Acquire acquire) {
      return "locks on " + acquire.getKeys();
    } else if (value instanceof Release) {
      return "locks are released";
    } else if (value instanceof SagaEnded ended) {
      return "the end "
          + ended.getStatus()
          + (ended.getStep().isEmpty() ? "" : " at '" + ended.getStep() + "'")
          + (ended.getReason().isEmpty() ? "" : ": " + ended.getReason());
    } else if (value instanceof Rejected rejected) {
      return "rejected: " + rejected.getReason();
    }
    return "";
  }

  private AssertionError failed(String wanted, String got) {
    return new AssertionError(
        "Expected %s, but the saga did %s.%nThe story so far:%n  %s"
            .formatted(wanted, got, String.join(System.lineSeparator() + "  ", lines)));
  }
}
