package dev.lockstep.outbox.internal.relay;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the log had for one shard and its relay has not taken yet. Bounded: behind that the shard is
 * let go, and reads the ledger until it has caught up. Thread-safe.
 */
final class WalQueue {

  /** Of one shard. */
  static final long MOST_BYTES = 2 * PageSize.BYTES;

  private static final String NONE = "";

  private final Deque<WalItem> items = new ArrayDeque<>();
  private final Runnable wake;
  private final Runnable doubted;
  private String history = NONE;
  private boolean attached;
  private long bytes;

  /**
   * @param wake called when there is something to take
   * @param doubted called when commits were found that did not come
   */
  WalQueue(Runnable wake, Runnable doubted) {
    this.wake = wake;
    this.doubted = doubted;
  }

  /**
   * The log is followed from here on.
   *
   * @param of its server and timeline
   */
  synchronized void begin(String of) {
    history = of;
  }

  /** The log is lost: what commits from now on will not come. */
  synchronized void end() {
    history = NONE;
    detach();
  }

  /** The shard wants everything from now on; false: nobody follows the log of this history. */
  synchronized boolean attach(String of) {
    attached = !history.equals(NONE) && history.equals(of);
    return attached;
  }

  void doubt() {
    doubted.run();
  }

  /** Tells whether everything came since it was attached. */
  synchronized boolean isAttached() {
    return attached;
  }

  synchronized void detach() {
    attached = false;
    items.clear();
    bytes = 0;
  }

  void offer(WalItem item) {
    synchronized (this) {
      if (!attached) {
        return;
      }
      bytes += item.bytes();
      items.add(item);
      if (bytes > MOST_BYTES) {
        detach();
      }
    }
    wake.run();
  }

  synchronized @Nullable WalItem peek() {
    return items.peek();
  }

  synchronized void remove() {
    WalItem item = items.poll();
    bytes -= item == null ? 0 : item.bytes();
  }

  /** Puts back what was taken last. */
  synchronized void putBack(List<WalItem> taken) {
    if (!attached) {
      return;
    }
    for (int i = taken.size() - 1; i >= 0; i--) {
      items.addFirst(taken.get(i));
      bytes += taken.get(i).bytes();
    }
  }
}
