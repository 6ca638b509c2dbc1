package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * Takes rows from the log, in the order of commits, and from the ledger wherever the log cannot be
 * followed. A position is a snapshot whose rows are all published in both cases, so that either can
 * go on where the other was: a transaction that comes from both is known by its id.
 *
 * <p>To join the log: attach the queue, begin a transaction, read the ledger until every earlier
 * one is seen. Whatever was written to the log before the queue was attached has a smaller id;
 * whatever was written later is in the queue. A snapshot would not do: it knows nothing of
 * transactions that are open behind its end (decision 0018).
 *
 * <p>A commit is in the log before it is visible, by a moment or until a synchronous standby has
 * it. Nothing is published before it is visible: what a fail-over may take back is not, and a later
 * owner finds in its snapshot what this one published.
 */
final class WalLedger implements Ledger {

  /** A position lists transactions that it does not see: with more, the ledger is asked. */
  private static final int MOST_LISTED = 10_000;

  private static final long LONGEST_TRUST_NANOS = TimeUnit.SECONDS.toNanos(1);

  /** Handed out and, for all this knows, not published. */
  private record Handed(Seen before, List<WalItem> items, String prev) {}

  private final SnapshotLedger ledger;
  private final WalQueue queue;

  /** All of it is published, or will be when what was handed out is. */
  private Seen seen = Seen.of(RelayPosition.START.prev());

  private String lastPrev = RelayPosition.START.prev();

  /** Two at most: a page is asked for when all but the one before it are published. */
  private final Deque<Handed> handed = new ArrayDeque<>();

  /** All transactions before this one must be seen; 0: the queue is not attached. */
  private long joining;

  private boolean joined;

  /** Of this connection: behind a fail-over the log may still be that of another server. */
  private String history = "";

  private long polledAt;

  WalLedger(SnapshotLedger ledger, WalQueue queue) {
    this.ledger = ledger;
    this.queue = queue;
  }

  @Override
  public Connection connection() {
    return ledger.connection();
  }

  @Override
  public RelayPosition takeOver(RelayPosition found) throws SQLException {
    RelayPosition position = ledger.takeOver(found);
    history = WalStream.history(position.origin());
    return position;
  }

  @Override
  public void owned(long relayEpoch) {
    ledger.owned(relayEpoch);
  }

  @Override
  public boolean isFollowing() {
    return joined;
  }

  @Override
  public @Nullable Page next(RelayPosition position, int limit) throws SQLException {
    if (!position.window().isEmpty()) {
      return ledger.next(position, limit);
    }
    settle(position);
    if (!queue.isAttached()) {
      joined = false;
      joining = 0;
    }
    joined |= joining != 0 && seen.isPast(joining);
    return joined ? fromLog(position, limit) : fromLedger(position, limit);
  }

  /**
   * Compares what was handed out with the position: what lies behind it was refused, or cut, and
   * comes again. What it has passed is published, though its page may be among those handed out.
   */
  private void settle(RelayPosition position) {
    if (position.prev().equals(lastPrev) && isReached(handed.peekLast(), position)) {
      return;
    }
    while (!isReached(handed.peekLast(), position)) {
      Handed page = handed.removeLast();
      seen = page.before().copy();
      queue.putBack(page.items());
    }
    while (handed.size() > 1) {
      handed.removeFirst();
    }
    seen.add(Seen.of(position.prev()));
    lastPrev = position.prev();
  }

  private static boolean isReached(@Nullable Handed page, RelayPosition position) {
    return page == null || page.prev().equals(position.prev());
  }

  private @Nullable Page fromLedger(RelayPosition position, int limit) throws SQLException {
    Page page = poll(position, limit);
    boolean hasCaughtUp = page == null || !page.more();
    if (hasCaughtUp && joining == 0 && queue.attach(history)) {
      // after it: see above
      joining = ledger.newTransaction();
    }
    return page;
  }

  /**
   * Nothing came, or nothing that is visible: other commits may be there all the same. A connection
   * that is dead is silent as well.
   */
  private @Nullable Page pollNowAndThen(RelayPosition position, int limit) throws SQLException {
    if (System.nanoTime() - polledAt < LONGEST_TRUST_NANOS) {
      return null;
    }
    Page page = poll(position, limit);
    if (page != null && queue.peek() == null) {
      queue.doubt();
    }
    return page;
  }

  /** The ledger tells of all that is visible; the queue stays complete. */
  private @Nullable Page poll(RelayPosition position, int limit) throws SQLException {
    Page page = ledger.next(position.seeing(seen.toString()), limit);
    if (page == null) {
      // nothing that is visible there is unpublished
      seen.add(Seen.of(ledger.emptyAt()));
      polledAt = System.nanoTime();
    }
    return page;
  }

  private @Nullable Page fromLog(RelayPosition position, int limit) throws SQLException {
    if (queue.peek() == null) {
      return pollNowAndThen(position, limit);
    }
    Seen visible = ledger.visible();
    Seen before = seen.copy();
    List<WalItem> items = new ArrayList<>();
    List<LedgerRow> rows = new ArrayList<>();
    long bytes = 0;
    for (WalItem item = queue.peek(); item != null; item = queue.peek()) {
      if (item instanceof WalItem.Mark mark) {
        seen.add(Seen.of(mark.snapshot()));
      } else if (item instanceof WalItem.Committed committed && !seen.sees(committed.xid())) {
        long xid = committed.xid();
        boolean isFar = seen.listedWith(xid) > MOST_LISTED;
        boolean isTooMuch =
            committed.rows().isEmpty()
                || rows.size() + committed.rows().size() > limit
                || bytes + committed.bytes() > PageSize.BYTES;
        if (!visible.sees(xid) || ((isFar || isTooMuch) && !rows.isEmpty())) {
          break;
        }
        if (isFar) {
          return poll(position, limit);
        }
        if (isTooMuch) {
          return alone(position, committed, limit);
        }
        rows.addAll(committed.rows());
        bytes += committed.bytes();
        seen.add(xid);
      }
      items.add(item);
      queue.remove();
    }
    if (rows.isEmpty()) {
      return pollNowAndThen(position, limit);
    }
    String prev = seen.toString();
    handed.addLast(new Handed(before, items, prev));
    return new Page(
        rows, queue.peek() != null, sorted -> behind(position, before, items, prev, sorted));
  }

  private RelayPosition behind(
      RelayPosition position, Seen before, List<WalItem> items, String prev, Sorted sorted) {
    if (sorted.isWhole()) {
      return position.within(prev, "", 0, sorted.passed());
    }
    Seen passed = before.copy();
    int left = sorted.passed().size();
    for (WalItem item : items) {
      if (item instanceof WalItem.Committed committed && !passed.sees(committed.xid())) {
        int size = committed.rows().size();
        if (left < size) {
          String upTo = passed.toString();
          if (left == 0) {
            return position.within(upTo, "", 0, sorted.passed());
          }
          passed.add(committed.xid());
          return position.within(
              upTo, passed.toString(), committed.rows().get(left - 1).seq(), sorted.passed());
        }
        left -= size;
        passed.add(committed.xid());
      } else if (item instanceof WalItem.Mark mark) {
        passed.add(Seen.of(mark.snapshot()));
      }
    }
    throw new IllegalStateException("A page that was cut was passed as a whole");
  }

  /** One transaction, page by page from the ledger. */
  private @Nullable Page alone(RelayPosition position, WalItem.Committed committed, int limit)
      throws SQLException {
    queue.remove();
    Seen before = seen.copy();
    seen.add(committed.xid());
    String window = seen.toString();
    handed.addLast(new Handed(before, List.of(committed), window));
    return ledger.next(position.within(before.toString(), window, 0, List.of()), limit);
  }

  @Override
  public void forget(List<String> undeleted) throws SQLException {
    ledger.forget(undeleted);
  }

  @Override
  public void close() throws SQLException {
    queue.detach();
    ledger.close();
  }
}
