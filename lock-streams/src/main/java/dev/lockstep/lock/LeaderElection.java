package dev.lockstep.lock;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One of several processes leads: the one that holds a lock. Thread-safe.
 *
 * <p>Guarantee: a new leader is told after the old one was told that it leads no more, unless that
 * one was paused; what a leader writes must therefore be guarded by its {@link Term#token}, which
 * rises from leader to leader. A leader that dies is replaced after its time to live.
 *
 * <p>Callbacks come one after the other. They start and stop the work and return: {@code lost} is
 * not told while {@code elected} has not returned.
 */
public final class LeaderElection implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(LeaderElection.class);
  private static final Duration WITHOUT_END = Duration.ofDays(365);
  private static final long PAUSE_MS = 500;

  /**
   * A time of leading.
   *
   * @param token fencing token of it; rises from leader to leader
   */
  public record Term(long token) {}

  /** What a candidate does. */
  public interface Candidate {

    /**
     * It leads from now on. Called again with the same term when a jeopardy has passed.
     *
     * @param term its term
     */
    void elected(Term term);

    /**
     * It leads no more, or cannot know: stop at once.
     *
     * @param term the term that is over, or in doubt
     */
    void lost(Term term);
  }

  private final LockClient client;
  private final DistributedLock lock;
  private final Candidate candidate;
  private final Object telling = new Object();
  private @Nullable CompletableFuture<Lease> campaign;
  private @Nullable Lease lease;
  private @Nullable Term told;
  private boolean closed;

  private LeaderElection(LockClient client, DistributedLock lock, Candidate candidate) {
    this.client = client;
    this.lock = lock;
    this.candidate = candidate;
  }

  /**
   * Joins an election, and stays in it until it is closed, or the client is.
   *
   * @param client lock client; its time to live bounds how long a dead leader is missed
   * @param election name of the election: the key of the lock
   * @param name of this candidate, for people; shown in lock events
   * @param candidate what to do
   * @return the election as this candidate sees it
   */
  public static LeaderElection join(
      LockClient client, String election, String name, Candidate candidate) {
    LeaderElection joined =
        new LeaderElection(client, client.lock(election).onBehalfOf(name), candidate);
    joined.run();
    return joined;
  }

  /**
   * Tells whether this candidate leads, without asking anyone.
   *
   * @return its term, or empty
   */
  public synchronized Optional<Term> leads() {
    Lease held = lease;
    return held != null && held.state() == Lease.State.SAFE
        ? Optional.of(new Term(held.token()))
        : Optional.empty();
  }

  /** Gives the lead to the next candidate and stands for it again, last in the queue. */
  public void resign() {
    Lease held;
    synchronized (this) {
      held = lease;
      lease = null;
    }
    if (held != null) {
      tell(null);
      held.close();
      run();
    }
  }

  /** Leaves the election; a leader is told that it leads no more, then the next one is elected. */
  @Override
  public void close() {
    Lease held;
    CompletableFuture<Lease> waiting;
    synchronized (this) {
      closed = true;
      held = lease;
      lease = null;
      waiting = campaign;
    }
    if (waiting != null) {
      waiting.cancel(false);
    }
    if (held != null) {
      tell(null);
      held.close();
    }
  }

  private void run() {
    CompletableFuture<Lease> next;
    synchronized (this) {
      if (closed) {
        return;
      }
      next = lock.acquireAsync(WITHOUT_END);
      campaign = next;
    }
    // not under the monitor: a reply that is there already is told by this thread
    var unused =
        next.whenComplete(
            (won, error) -> {
              if (won != null) {
                won(won);
              } else {
                failed(error);
              }
            });
  }

  private void won(Lease won) {
    synchronized (this) {
      if (closed) {
        won.close();
        return;
      }
      lease = won;
    }
    tell(new Term(won.token()));
    won.onChange(state -> changed(won, state));
  }

  private void changed(Lease held, Lease.State state) {
    synchronized (this) {
      if (lease != held) {
        return;
      }
      if (state == Lease.State.LOST) {
        lease = null;
      }
    }
    tell(state == Lease.State.SAFE ? new Term(held.token()) : null);
    if (state == Lease.State.LOST) {
      run();
    }
  }

  /** Tells the candidate what is new to it; null: it leads no more. */
  private void tell(@Nullable Term news) {
    Term before;
    synchronized (telling) {
      // it may have been closed or have resigned since, and then that was told before this
      Term now = news != null && holds(news) ? news : null;
      before = told;
      told = now;
      try {
        if (before != null && !before.equals(now)) {
          candidate.lost(before);
        }
        if (now != null && !now.equals(before)) {
          candidate.elected(now);
        }
      } catch (Throwable e) {
        LOG.error("Candidate of {} failed", lock.keys(), e);
      }
    }
  }

  private synchronized boolean holds(Term term) {
    Lease held = lease;
    return held != null && new Term(held.token()).equals(term);
  }

  private void failed(@Nullable Throwable error) {
    Throwable cause = error instanceof CompletionException ? error.getCause() : error;
    if (cause instanceof CancellationException) {
      return;
    }
    synchronized (this) {
      if (closed || client.isClosed()) {
        return;
      }
    }
    LOG.warn("Election {}: stands again after {}", lock.keys(), String.valueOf(cause));
    CompletableFuture.delayedExecutor(PAUSE_MS, TimeUnit.MILLISECONDS).execute(this::run);
  }
}
