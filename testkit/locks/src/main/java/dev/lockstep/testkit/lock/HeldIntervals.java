package dev.lockstep.testkit.lock;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Checks what clients believed: no two were SAFE with one key at one time (I11), and who came later
 * had the higher token (I2). Times are nanoseconds of one clock that all clients read, such as
 * CLOCK_MONOTONIC of their machine. Not thread-safe; sorts, so n log n.
 */
public final class HeldIntervals {

  private record Interval(String client, long token, long from, long to) {}

  private final Map<String, List<Interval>> byKey = new TreeMap<>();

  /**
   * Notes that a client knew itself the only holder of a key.
   *
   * @param client name
   * @param key lock key
   * @param token fencing token
   * @param from when it saw itself SAFE first
   * @param to when it saw itself SAFE last
   */
  public void held(String client, String key, long token, long from, long to) {
    byKey.computeIfAbsent(key, k -> new ArrayList<>()).add(new Interval(client, token, from, to));
  }

  /**
   * Returns the number of intervals.
   *
   * @return how many were noted
   */
  public int size() {
    return byKey.values().stream().mapToInt(List::size).sum();
  }

  /**
   * Returns what was wrong.
   *
   * @return one line per violation
   */
  public List<String> violations() {
    List<String> violations = new ArrayList<>();
    byKey.forEach(
        (key, intervals) -> {
          intervals.sort(Comparator.comparingLong(Interval::from));
          Interval last = intervals.get(0);
          for (Interval next : intervals.subList(1, intervals.size())) {
            if (next.from() < last.to()) {
              violations.add(
                  "I11: '%s' was SAFE with '%s' at %d and with '%s' until %d"
                      .formatted(key, next.client(), next.from(), last.client(), last.to()));
            }
            if (next.token() <= last.token()) {
              violations.add(
                  "I2: '%s' was held by '%s' under %d behind '%s' under %d"
                      .formatted(key, next.client(), next.token(), last.client(), last.token()));
            }
            last = next.to() > last.to() ? next : last;
          }
        });
    return violations;
  }
}
