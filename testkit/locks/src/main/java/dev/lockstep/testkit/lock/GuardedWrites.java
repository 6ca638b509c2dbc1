package dev.lockstep.testkit.lock;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Checks what a guard let pass: the tokens of a key never fall (I3 of the lock invariants). Not
 * thread-safe.
 */
public final class GuardedWrites {

  private final Map<String, Long> highest = new HashMap<>();
  private final List<String> violations = new ArrayList<>();

  /**
   * Notes a write that was accepted.
   *
   * @param key lock key that guards it
   * @param token token that it was made under
   */
  public void accepted(String key, long token) {
    long before = highest.merge(key, token, Math::max);
    if (token < before) {
      violations.add(
          "I3: a write on '%s' under token %d was accepted behind one under %d"
              .formatted(key, token, before));
    }
  }

  /**
   * Returns what was wrong.
   *
   * @return one line per violation
   */
  public List<String> violations() {
    return List.copyOf(violations);
  }
}
