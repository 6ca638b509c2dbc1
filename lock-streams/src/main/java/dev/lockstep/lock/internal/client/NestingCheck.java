package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockClientOptions.Nesting;
import dev.lockstep.lock.LockOrderException;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Watches in which order each thread nests its locks. One order everywhere (Havender, 1968)
 * excludes a circle of waiting; here it is the order of the keys as text.
 *
 * <p>Knows the leases that a thread waited for and has not given back. One that was handed to
 * another thread still counts for the first.
 */
final class NestingCheck {

  private static final Logger LOG = LoggerFactory.getLogger(NestingCheck.class);

  private static final int PRUNED_FROM = 16;

  private final Nesting nesting;
  private final ThreadLocal<List<Lease>> held = ThreadLocal.withInitial(ArrayList::new);

  NestingCheck(Nesting nesting) {
    this.nesting = nesting;
  }

  /** Called before the calling thread waits. */
  void beforeWait(List<String> keys) {
    if (nesting == Nesting.ALLOWED) {
      return;
    }
    List<Lease> own = held.get();
    own.removeIf(lease -> lease.state() == Lease.State.LOST);
    for (Lease lease : own) {
      for (String key : lease.tokens().keySet()) {
        if (keys.get(0).compareTo(key) <= 0) {
          outOfOrder(keys.get(0), key);
          return;
        }
      }
    }
  }

  /** Called when the calling thread has got what it waited for. */
  void got(Lease lease) {
    if (nesting != Nesting.ALLOWED) {
      List<Lease> own = held.get();
      if (Integer.bitCount(own.size()) == 1 && own.size() >= PRUNED_FROM) {
        // at each power of two: a thread that never waits again must not keep what it gave back
        own.removeIf(each -> each.state() == Lease.State.LOST);
      }
      own.add(lease);
    }
  }

  private void outOfOrder(String wanted, String has) {
    String message =
        "Thread '%s' holds '%s' and waits for '%s': a thread that takes them the other way round can wait for it at the same time, both for ever; take them together by locks(keys), or in ascending order"
            .formatted(Thread.currentThread().getName(), has, wanted);
    if (nesting == Nesting.REFUSED) {
      throw new LockOrderException(message);
    }
    LOG.warn(message);
  }
}
