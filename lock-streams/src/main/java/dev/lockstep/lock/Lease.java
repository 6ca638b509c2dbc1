package dev.lockstep.lock;

import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

/**
 * Locks that were granted together. Thread-safe.
 *
 * <p>A lease is SAFE while nobody else can have been granted its keys. When the client has not
 * heard from the service for too long it is in JEOPARDY: {@link #ensureValid} fails, before anyone
 * else can be granted. It becomes SAFE again with the same tokens, or LOST. A process that is
 * paused cannot know; what it writes must be guarded by its tokens ({@link JdbcFence}).
 */
public interface Lease extends AutoCloseable {

  /** What is known of a lease. */
  enum State {
    /** Held; nobody else can have been granted its keys. */
    SAFE,
    /** Perhaps still held: the service was not heard from in time. */
    JEOPARDY,
    /** Over: expired, forced, or released. */
    LOST
  }

  /**
   * Somebody wants a lock back.
   *
   * @param key lock key
   * @param by who, and why
   * @param grace time until the service takes it, elapsed log time; empty: it does not
   */
  record Revocation(String key, String by, Optional<Duration> grace) {}

  /**
   * Returns the fencing tokens.
   *
   * @return token by lock key
   */
  Map<String, Long> tokens();

  /**
   * Returns the fencing token of a lease on one key.
   *
   * @return its token
   * @throws IllegalStateException when the lease is on several keys: use {@link #tokens}
   */
  default long token() {
    if (tokens().size() != 1) {
      throw new IllegalStateException("Lease is on " + tokens().size() + " keys: use tokens()");
    }
    return tokens().values().iterator().next();
  }

  /**
   * Tells what is known now, without asking anyone.
   *
   * @return the state
   */
  State state();

  /**
   * Returns if the lease is SAFE.
   *
   * @throws LockLostException when it is not: stop the work and roll back
   */
  default void ensureValid() {
    State now = state();
    if (now != State.SAFE) {
      throw new LockLostException(
          "Lease on %s is %s: stop the work that it protects and roll back"
              .formatted(tokens().keySet(), now));
    }
  }

  /**
   * Calls back at each change of state, in order, on a thread that does nothing else; may block. A
   * lease that is not SAFE any more when this is called is told at once.
   *
   * @param listener what it throws is logged
   */
  void onChange(Consumer<State> listener);

  /**
   * Calls back when somebody wants one of the locks back, on the thread of {@link #onChange}: come
   * to an end and release. What was asked for before this was called is told at once.
   *
   * @param listener what it throws is logged
   */
  void onRevokeAsked(Consumer<Revocation> listener);

  /**
   * Tells whether others may hold the locks as well.
   *
   * @return true for a shared lease
   */
  boolean isShared();

  /**
   * Lets others share what this lease holds alone; its tokens stay. Nobody can have been exclusive
   * in between.
   *
   * @return done when the service has answered; fails with {@link LockLostException} when the lease
   *     is over, with {@link LockDeniedException} when it is a semaphore's
   */
  CompletableFuture<Void> downgrade();

  /**
   * Makes a shared lease exclusive, under new tokens. Possible only while nobody else holds any of
   * its keys: two that wait for each other to leave would wait for ever. It goes before everybody
   * who waits.
   *
   * @return done when the service has answered; fails with {@link LockDeniedException} when others
   *     hold a key (the lease stays shared: release it and acquire exclusively), with {@link
   *     LockLostException} when the lease is over
   */
  CompletableFuture<Void> upgrade();

  /**
   * Releases the locks.
   *
   * @return done when the release stands in the log; true: the locks were held until then, false:
   *     they were lost before, or that is not known because the session has ended meanwhile
   */
  CompletableFuture<Boolean> release();

  /**
   * Releases the locks, whose keys are offered to nobody for a while. Whoever was offered a key
   * beside a shared lease or permits before may still be granted it.
   *
   * @param keepFree for how long, elapsed log time from the release on; at most the Layout's {@code
   *     lock.delay.max.ms}, a minute if it says nothing
   * @return as {@link #release()}
   */
  CompletableFuture<Boolean> release(Duration keepFree);

  /** Same as {@link #release()}, without waiting for the log. */
  @Override
  void close();
}
