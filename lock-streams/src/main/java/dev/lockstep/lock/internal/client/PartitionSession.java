package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * This client's session on one lock partition. Guarded by its own monitor.
 *
 * <p>The deadline runs from the <em>send</em> of the last beat that is known to be in the log, less
 * 1 % for the clock's rate and two ticks: the service cannot have expired the session before it. A
 * produce acknowledgement extends it only while SAFE; from JEOPARDY only an answer to a newer beat
 * leads back (Chubby's jeopardy; design section 5).
 */
final class PartitionSession {

  private final String client;
  private final int partition;
  private final long validNanos;
  private final TreeMap<Long, PendingAcquire> pending = new TreeMap<>();
  private final TreeMap<Long, Granted> held = new TreeMap<>();
  private final TreeMap<Long, Long> beatSentAt = new TreeMap<>();
  private int generation = 1;
  private long nextNumber = 1;
  private long nextBeat = 1;
  private long deadline;
  private boolean safe;

  PartitionSession(String client, int partition, long ttlMillis, int tickMillis) {
    this.client = client;
    this.partition = partition;
    this.validNanos = TimeUnit.MILLISECONDS.toNanos(ttlMillis * 99 / 100 - 2L * tickMillis);
  }

  synchronized String owner() {
    return client + "." + partition + "." + generation;
  }

  int partition() {
    return partition;
  }

  synchronized long open(PendingAcquire acquire) {
    long number = nextNumber++;
    pending.put(number, acquire);
    return number;
  }

  synchronized long numberOnly() {
    return nextNumber++;
  }

  /** Answers below this are not needed any more. */
  synchronized long lowestUnanswered() {
    long lowest = nextNumber;
    if (!pending.isEmpty()) {
      lowest = Math.min(lowest, pending.firstKey());
    }
    return lowest;
  }

  synchronized boolean isInUse() {
    return !pending.isEmpty() || !held.isEmpty();
  }

  synchronized @Nullable PendingAcquire answered(long number) {
    return pending.remove(number);
  }

  synchronized void hold(long number, Granted grant) {
    held.put(number, grant);
  }

  synchronized void drop(long number) {
    held.remove(number);
  }

  synchronized long nextBeat() {
    long beat = nextBeat++;
    beatSentAt.put(beat, System.nanoTime());
    return beat;
  }

  /** A command stands in the log that was sent at this time. */
  synchronized void appended(long sentAt) {
    // in jeopardy only an answered beat tells that the session still lives
    if (held.isEmpty() || (safe && System.nanoTime() < deadline)) {
      extend(sentAt);
    }
  }

  synchronized void beatAppended(long beat) {
    Long sentAt = beatSentAt.get(beat);
    if (sentAt != null && safe && System.nanoTime() < deadline) {
      extend(sentAt);
    }
  }

  /** The service answered a beat: the session lives. Returns true when it was in jeopardy. */
  synchronized boolean confirmed(long beat) {
    Long sentAt = beatSentAt.get(beat);
    beatSentAt.headMap(beat, true).clear();
    if (sentAt == null) {
      return false;
    }
    boolean before = safe;
    extend(sentAt);
    return !before && safe;
  }

  /** Returns true when the deadline has passed since the last look. */
  synchronized boolean fellIntoJeopardy() {
    if (safe && System.nanoTime() >= deadline) {
      safe = false;
      return true;
    }
    return false;
  }

  synchronized Lease.State state(long number) {
    if (!held.containsKey(number)) {
      return Lease.State.LOST;
    }
    return safe && System.nanoTime() < deadline ? Lease.State.SAFE : Lease.State.JEOPARDY;
  }

  synchronized List<Granted> grants() {
    return List.copyOf(held.values());
  }

  /** The session is over: a new one begins with the next command. */
  synchronized Ended end() {
    Ended ended = new Ended(List.copyOf(pending.values()), List.copyOf(held.values()));
    pending.clear();
    held.clear();
    beatSentAt.clear();
    generation++;
    nextNumber = 1;
    safe = false;
    return ended;
  }

  private void extend(long sentAt) {
    long until = sentAt + validNanos;
    if (!safe || until > deadline) {
      deadline = until;
    }
    safe = System.nanoTime() < deadline;
  }

  /** What a session held and waited for when it ended. */
  record Ended(List<PendingAcquire> pending, List<Granted> held) {}
}
