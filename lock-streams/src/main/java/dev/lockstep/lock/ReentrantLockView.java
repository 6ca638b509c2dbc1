package dev.lockstep.lock;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;

/**
 * A {@link DistributedLock} as a lock of the JDK. A thread that holds it acquires it again without
 * asking anybody, under the same token; it is released when it was unlocked as often.
 *
 * <p>{@link #unlock} throws when the lock was lost meanwhile: what was done under it may have
 * happened beside somebody else. Guard what it protects by the token of {@link #lease}.
 */
public final class ReentrantLockView implements Lock {

  /** As long as anybody waits: the log counts it in milliseconds. */
  private static final Duration WITHOUT_END = Duration.ofDays(365);

  /** What a thread holds. Only that thread touches it. */
  private static final class Hold {
    private final Lease lease;
    private int count = 1;

    Hold(Lease lease) {
      this.lease = lease;
    }
  }

  private final DistributedLock lock;
  private final Map<Thread, Hold> holds = new ConcurrentHashMap<>();

  ReentrantLockView(DistributedLock lock) {
    this.lock = lock;
  }

  /**
   * Returns the lease of the calling thread.
   *
   * @return its lease
   * @throws IllegalMonitorStateException when the calling thread does not hold the lock
   */
  public Lease lease() {
    return hold().lease;
  }

  /**
   * Tells how often the calling thread has acquired it.
   *
   * @return 0: it does not hold it
   */
  public int holdCount() {
    Hold hold = holds.get(Thread.currentThread());
    return hold == null ? 0 : hold.count;
  }

  /**
   * Acquires, waiting without end; an interrupt is kept for later.
   *
   * @throws LockException as {@link DistributedLock#acquire}
   */
  @Override
  public void lock() {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          lockInterruptibly();
          return;
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  @Override
  public void lockInterruptibly() throws InterruptedException {
    if (!again()) {
      hold(lock.acquire(WITHOUT_END));
    }
  }

  @Override
  public boolean tryLock() {
    try {
      return tryLock(0, TimeUnit.NANOSECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }

  @Override
  public boolean tryLock(long time, TimeUnit unit) throws InterruptedException {
    if (again()) {
      return true;
    }
    Duration wait = Duration.ofNanos(Math.max(0, unit.toNanos(time)));
    var lease = lock.tryAcquire(wait.compareTo(WITHOUT_END) > 0 ? WITHOUT_END : wait);
    lease.ifPresent(this::hold);
    return lease.isPresent();
  }

  /**
   * Releases what was acquired last.
   *
   * @throws IllegalMonitorStateException when the calling thread does not hold the lock
   * @throws LockLostException when it was lost before: roll back what it protected
   */
  @Override
  public void unlock() {
    Hold hold = hold();
    Lease.State state = hold.lease.state();
    if (--hold.count == 0) {
      holds.remove(Thread.currentThread());
      hold.lease.close();
    }
    if (state == Lease.State.LOST) {
      throw new LockLostException(
          "Lock on %s was lost before it was unlocked: roll back what it protected"
              .formatted(lock.keys()));
    }
  }

  /**
   * Not supported: a condition is local to one process, and this lock is not.
   *
   * @throws UnsupportedOperationException always
   */
  @Override
  public Condition newCondition() {
    throw new UnsupportedOperationException(
        "Conditions do not reach other processes; subscribe to LockEvents, or use a topic");
  }

  private boolean again() {
    Hold hold = holds.get(Thread.currentThread());
    if (hold == null) {
      return false;
    }
    hold.lease.ensureValid();
    hold.count++;
    return true;
  }

  private void hold(Lease lease) {
    holds.put(Thread.currentThread(), new Hold(lease));
  }

  private Hold hold() {
    Hold hold = holds.get(Thread.currentThread());
    if (hold == null) {
      throw new IllegalMonitorStateException(
          "Thread '%s' does not hold the lock on %s"
              .formatted(Thread.currentThread().getName(), lock.keys()));
    }
    return hold;
  }
}
