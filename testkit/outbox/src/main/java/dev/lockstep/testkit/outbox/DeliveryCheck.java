package dev.lockstep.testkit.outbox;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Compares what was delivered with what was committed. Each key has versions 1, 2, 3, ... in the
 * order of its commits, since writers hold the row of the key; that order, without a gap, is what
 * must be delivered. Not thread-safe.
 */
public final class DeliveryCheck {

  private static final int MOST_FINDINGS = 20;

  /**
   * What a relay did.
   *
   * @param committed messages
   * @param delivered messages, repeats included
   * @param missed committed and never delivered
   * @param duplicates delivered again
   * @param inversions delivered after a later message of their key
   * @param phantoms delivered and never committed
   * @param findings the first of them, for people
   */
  public record Report(
      long committed,
      long delivered,
      long missed,
      long duplicates,
      long inversions,
      long phantoms,
      List<String> findings) {

    /**
     * Tells whether each message came once, in its order.
     *
     * @return true when nothing is wrong
     */
    public boolean isClean() {
      return missed == 0 && duplicates == 0 && inversions == 0 && phantoms == 0;
    }
  }

  private final Map<String, Set<Long>> seen = new HashMap<>();
  private final Map<String, Long> highest = new HashMap<>();
  private final Set<String> rows = new HashSet<>();
  private final List<String> findings = new ArrayList<>();
  private long delivered;
  private long duplicates;
  private long inversions;

  /**
   * Takes what was delivered next; call it in the order in which a reader of the key sees it.
   *
   * @param value as it was published: key, a blank, version
   */
  public void delivered(String value) {
    delivered(value, null);
  }

  /**
   * The same for a lane that may repeat a row and says so.
   *
   * @param value as it was published: key, a blank, version
   * @param row identity of the row: a repeat of one that came before is passed over; null: no
   *     repeats are allowed
   */
  public void delivered(String value, @Nullable String row) {
    if (row != null && !rows.add(row)) {
      return;
    }
    delivered++;
    int blank = value.lastIndexOf(' ');
    String key = value.substring(0, blank);
    long version = Long.parseLong(value.substring(blank + 1));
    if (!seen.computeIfAbsent(key, k -> new HashSet<>()).add(version)) {
      duplicates++;
      found(value + " came again");
      return;
    }
    long before = highest.getOrDefault(key, 0L);
    if (version < before) {
      inversions++;
      found(value + " came after version " + before);
    } else {
      highest.put(key, version);
    }
  }

  /**
   * Counts what was delivered so far.
   *
   * @return messages, repeats of rows left out
   */
  public long delivered() {
    return delivered;
  }

  /**
   * Compares with what was committed.
   *
   * @param committed highest version of each key
   * @return what was wrong
   */
  public Report compare(Map<String, Long> committed) {
    long missed = 0;
    long phantoms = 0;
    long total = 0;
    for (Map.Entry<String, Long> key : committed.entrySet()) {
      total += key.getValue();
      Set<Long> versions = seen.getOrDefault(key.getKey(), Set.of());
      for (long version = 1; version <= key.getValue(); version++) {
        if (!versions.contains(version)) {
          missed++;
          found(key.getKey() + " " + version + " is missing");
        }
      }
    }
    for (Map.Entry<String, Set<Long>> key : seen.entrySet()) {
      long last = committed.getOrDefault(key.getKey(), 0L);
      long more = key.getValue().stream().filter(version -> version > last).count();
      phantoms += more;
      if (more > 0) {
        found(key.getKey() + " has " + more + " versions that were never committed");
      }
    }
    return new Report(
        total, delivered, missed, duplicates, inversions, phantoms, List.copyOf(findings));
  }

  private void found(String what) {
    if (findings.size() < MOST_FINDINGS) {
      findings.add(what);
    }
  }
}
