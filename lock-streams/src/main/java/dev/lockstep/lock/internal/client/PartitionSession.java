package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * This client's session on one lock partition. Guarded by its own monitor, which is never held over
 * I/O: a lease must not look safe while a send blocks.
 *
 * <p>The deadline runs from the <em>send</em> of the last command that is known to have prolonged
 * the session, less 1 % for the clock's rate and two ticks: the service cannot have expired the
 * session before it. That is known of an Acquire when it was answered other than by DENIED, of a
 * beat when it was answered, and while SAFE already when it stands in the log; from JEOPARDY only
 * an answer leads back (Chubby's jeopardy; design section 5).
 */
final class PartitionSession {

  /**
   * Names one command.
   *
   * @param owner session that it belongs to
   * @param number its number in that session
   * @param lowestUnanswered answers below this are not needed any more
   */
  record Ticket(String owner, long number, long lowestUnanswered) {}

  /** Held from the choice of a number to its send: number 1 opens a session, so it goes first. */
  private final Object sending = new Object();

  private final String client;
  private final int partition;
  private final long validNanos;
  private final LongSupplier clock;
  private final TreeMap<Long, PendingAcquire> pending = new TreeMap<>();
  private final TreeMap<Long, Granted> held = new TreeMap<>();
  private final TreeMap<Long, Long> beatSentAt = new TreeMap<>();

  /** Releases that stand in the log, and that may have come too late. */
  private final List<Ticket> releases = new ArrayList<>();

  private int generation = 1;
  private long nextNumber = 1;
  private long nextBeat = 1;
  private long deadline;
  private boolean safe;

  PartitionSession(
      String client, int partition, long ttlMillis, int tickMillis, LongSupplier clock) {
    this.client = client;
    this.partition = partition;
    this.validNanos = TimeUnit.MILLISECONDS.toNanos(ttlMillis * 99 / 100 - 2L * tickMillis);
    this.clock = clock;
    this.deadline = clock.getAsLong();
  }

  Object sending() {
    return sending;
  }

  int partition() {
    return partition;
  }

  synchronized String owner() {
    return client + "." + partition + "." + generation;
  }

  synchronized Ticket open(PendingAcquire acquire) {
    long number = nextNumber++;
    pending.put(number, acquire);
    return new Ticket(owner(), number, lowestUnanswered());
  }

  /** Names a command about an earlier one; null when that one's session is over. */
  synchronized @Nullable Ticket next(String owner) {
    if (!owner.equals(owner())) {
      return null;
    }
    long number = nextNumber++;
    return new Ticket(owner, number, lowestUnanswered());
  }

  synchronized boolean isInUse() {
    return !pending.isEmpty() || !held.isEmpty() || !releases.isEmpty();
  }

  synchronized @Nullable PendingAcquire answered(String owner, long number) {
    return owner.equals(owner()) ? pending.remove(number) : null;
  }

  /** False when the session has ended meanwhile, and the grant with it. */
  synchronized boolean hold(Granted grant) {
    if (!grant.owner().equals(owner())) {
      return false;
    }
    held.put(grant.number(), grant);
    return true;
  }

  synchronized @Nullable Granted drop(String owner, long number) {
    return owner.equals(owner()) ? held.remove(number) : null;
  }

  synchronized Ticket nextBeat() {
    long beat = nextBeat++;
    beatSentAt.put(beat, clock.getAsLong());
    return new Ticket(owner(), beat, lowestUnanswered());
  }

  synchronized void beatAppended(String owner, long beat) {
    Long sentAt = owner.equals(owner()) ? beatSentAt.get(beat) : null;
    // in jeopardy only an answer tells that the session still lives
    if (sentAt != null && isSafe()) {
      extend(sentAt);
    }
  }

  /** The service answered a beat. Returns true when that ends a jeopardy. */
  synchronized boolean beatAnswered(String owner, long beat) {
    Long sentAt = beatSentAt.get(beat);
    if (sentAt == null || !owner.equals(owner())) {
      return false;
    }
    beatSentAt.headMap(beat, true).clear();
    return extend(sentAt);
  }

  /** The service answered a command in a way that shows that it prolonged the session. */
  synchronized boolean prolongedBy(String owner, long sentAt) {
    return owner.equals(owner()) && extend(sentAt);
  }

  /**
   * Tells of a Release that stands in the log whether its session lived then. JEOPARDY: not known
   * now; it is kept until the session is safe again or ends.
   */
  synchronized Lease.State releaseAppended(Ticket release) {
    if (!release.owner().equals(owner())) {
      return Lease.State.LOST;
    }
    if (isSafe()) {
      return Lease.State.SAFE;
    }
    releases.add(release);
    return Lease.State.JEOPARDY;
  }

  /** Returns the releases that are certain now: all, when the session is safe. */
  synchronized List<Ticket> takeReleases() {
    return isSafe() ? takeAllReleases() : List.of();
  }

  private List<Ticket> takeAllReleases() {
    List<Ticket> taken = List.copyOf(releases);
    releases.clear();
    return taken;
  }

  /** Returns true when the deadline has passed since the last look. */
  synchronized boolean fellIntoJeopardy() {
    if (safe && !isSafe()) {
      safe = false;
      return true;
    }
    return false;
  }

  synchronized Lease.State state(Ticket grant) {
    if (!grant.owner().equals(owner()) || !held.containsKey(grant.number())) {
      return Lease.State.LOST;
    }
    return isSafe() ? Lease.State.SAFE : Lease.State.JEOPARDY;
  }

  synchronized List<Granted> grants() {
    return List.copyOf(held.values());
  }

  /** The session is over: a new one begins with the next command. */
  synchronized Ended end() {
    Ended ended =
        new Ended(
            owner(), List.copyOf(pending.values()), List.copyOf(held.values()), takeAllReleases());
    pending.clear();
    held.clear();
    beatSentAt.clear();
    generation++;
    nextNumber = 1;
    nextBeat = 1;
    safe = false;
    // what kept the old one alive says nothing of the next
    deadline = clock.getAsLong();
    return ended;
  }

  private long lowestUnanswered() {
    return pending.isEmpty() ? nextNumber : Math.min(nextNumber, pending.firstKey());
  }

  private boolean isSafe() {
    return safe && clock.getAsLong() - deadline < 0;
  }

  private boolean extend(long sentAt) {
    boolean before = safe;
    long until = sentAt + validNanos;
    if (until - deadline > 0) {
      deadline = until;
    }
    if (clock.getAsLong() - deadline < 0) {
      safe = true;
    }
    // only fellIntoJeopardy may take it back, or nobody would be told
    return !before && safe;
  }

  /** What a session held and waited for when it ended. */
  record Ended(
      String owner, List<PendingAcquire> pending, List<Granted> held, List<Ticket> releases) {}
}
