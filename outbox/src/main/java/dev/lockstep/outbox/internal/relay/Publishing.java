package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.Ledger.Page;
import dev.lockstep.outbox.internal.relay.Parked.Blocked;
import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import java.sql.SQLException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Publishes a shard that this relay owns, page by page, until something fails. Used by one thread.
 *
 * <p>Crash points: messages and position are one Kafka transaction (exactly-once lane), or the
 * position follows the acknowledged messages (express lane, whose receivers drop repeats by row
 * id). Rows are put aside before the position passes them, and what was put aside ahead of it is
 * forgotten at the next start. Rows from aside go out in one transaction with their names, and are
 * deleted after it.
 */
final class Publishing {

  /** What this needs of the relay around it. */
  record Surroundings(
      Ledger ledger,
      Parked parked,
      LaneSender lane,
      RowSorter sorter,
      RowSorter.Topics topics,
      Verdicts verdicts,
      PageSize page,
      Meter meter,
      LongSupplier nanoTime) {}

  /** Counts what is in Kafka. */
  interface Meter {

    /** Begins to count what one commit publishes. */
    Tally begin();
  }

  /** One commit. Dropped when it is refused. */
  interface Tally {

    /** Rows are on their way. To keep them would keep a backlog in the heap. */
    void add(List<LedgerRow> rows);

    /** All of them are in Kafka. */
    void published(long nanos, RelayPosition position);
  }

  /** Told of what Kafka refuses. */
  interface Verdicts {

    /** A row will never be taken. */
    void condemn(RowName row, String reason);

    /** A topic cannot be written to now. */
    void report(String topic, String reason);
  }

  /** A page that was read while those before it were on their way. */
  private record Ahead(RelayPosition position, Page page) {}

  /**
   * What goes out in one commit: a page, and further ones of the same window behind it if all of
   * their rows can be sent. Of a window's pages the ledger remembers nothing, so that it can go
   * back over any number of them when the commit is refused.
   */
  private final class Together implements LaneSender.Further {

    private final Tally tally = with.meter().begin();
    private int pages;
    private long rows;
    private long bytes;
    private long sent;
    private boolean more;
    private RelayPosition behind = position;

    LaneSender.Batch add(Page page, Sorted sorted) {
      pages++;
      rows += page.rows().size();
      bytes += PageSize.bytes(page.rows());
      sent += sorted.sent().size();
      more = page.more() && sorted.isWhole();
      behind = page.behind().of(sorted);
      tally.add(sorted.sent());
      return new LaneSender.Batch(sorted.sent(), behind);
    }

    @Override
    public LaneSender.@Nullable Batch next() {
      Page page = more ? readAhead(behind) : null;
      if (page == null) {
        return null;
      }
      if (with.page().hasRoom(pages, bytes)
          && !behind.window().isEmpty()
          && with.sorter().isClean(page.rows())) {
        return add(page, Sorted.clean(page.rows()));
      }
      ahead = new Ahead(behind, page);
      return null;
    }
  }

  private static final Logger LOG = LoggerFactory.getLogger(Publishing.class);
  private static final int MOST_PARKED = 1_000;
  private static final long UNBLOCKING_NANOS = TimeUnit.MILLISECONDS.toNanos(400);

  private final Surroundings with;
  private RelayPosition position;

  private @Nullable Ahead ahead;

  Publishing(Surroundings with, RelayPosition start) {
    this.with = with;
    this.position = start;
  }

  /** How far it is. */
  RelayPosition position() {
    return position;
  }

  /** Publishes the next page; false when there was nothing that could be done. */
  boolean turn() throws SQLException {
    Ahead read = ahead;
    ahead = null;
    Page page =
        // one that was read behind a position that was never reached is no good
        read != null && read.position().equals(position)
            ? read.page()
            : with.ledger().next(position, with.page().rows());
    return page != null && publish(page);
  }

  private boolean publish(Page page) throws SQLException {
    Sorted sorted = with.sorter().sort(page.rows());
    if (sorted.passed().isEmpty() && !page.rows().isEmpty()) {
      // its topic is away for a moment
      return false;
    }
    if (!sorted.asides().isEmpty()) {
      with.parked().put(sorted);
    }
    Together together = new Together();
    // the rows themselves are not held until the commit
    List<Aside> asides = sorted.asides();
    long begun = with.nanoTime().getAsLong();
    try {
      with.lane().commit(together.add(page, sorted), together);
    } catch (RefusedException e) {
      refused(together.sent, e);
      if (!asides.isEmpty()) {
        // the position has not passed them: they are decided again
        with.parked().forgetAhead(position);
      }
      return true;
    }
    long nanos = with.nanoTime().getAsLong() - begun;
    with.page().sent(together.rows, nanos);
    with.sorter().done(asides);
    position = together.behind;
    together.tally.published(nanos, position);
    with.ledger().forget(position.undeleted());
    return true;
  }

  private @Nullable Page readAhead(RelayPosition behind) {
    try {
      return with.ledger().next(behind, with.page().rows());
    } catch (SQLException e) {
      // it is read again when it is wanted, and then fails where somebody can hear it
      LOG.debug("The next page could not be read ahead", e);
      return null;
    }
  }

  private void refused(long sent, RefusedException refusal) {
    RowName row = refusal.row();
    RowName culprit = culprit(sent, refusal);
    if (row == null || sent == 0) {
      throw refusal;
    }
    if (SendFailure.of(refusal) == SendFailure.TOPIC) {
      report(row, refusal);
    } else if (culprit != null) {
      with.verdicts().condemn(culprit, "Kafka refuses it: " + refusal.getMessage());
    } else {
      with.page().shrink();
    }
    if (!refusal.senderGoesOn()) {
      throw refusal;
    }
  }

  /** A row that was on its way may have failed with what befell another topic. */
  private void report(RowName row, RefusedException refusal) {
    Set<String> named = SendFailure.unauthorizedTopics(refusal);
    String reason = String.valueOf(refusal.getMessage());
    for (String topic : named.isEmpty() ? Set.of(row.topic()) : named) {
      with.verdicts().report(topic, reason);
    }
  }

  /** Grants what operators asked for, and takes up topics that are back. */
  void attend() throws SQLException {
    // for a while at most: the rest of the shard has its turn as well
    long end = with.nanoTime().getAsLong() + UNBLOCKING_NANOS;
    for (Map.Entry<BlockKey, Blocked> entry : with.parked().blocked().entrySet()) {
      BlockKey key = entry.getKey();
      Blocked block = entry.getValue();
      boolean reachable = with.topics().fault(key.topic()) == null;
      if (reachable
          && (block.unblockRequested() || block.probed())
          && (key.isWholeTopic()
              || !with.sorter().blocked().containsKey(new BlockKey(key.topic(), null)))) {
        unblock(key, end);
      }
    }
    for (LedgerRow row : with.parked().released(position, parkedRows())) {
      if (with.topics().fault(row.topic()) != null) {
        continue;
      }
      boolean unused = sendParked(List.of(row), with.parked()::refuse);
    }
  }

  /**
   * Sends what waits, page by page; the block ends behind the last one at once, since only this
   * thread adds to it.
   */
  private void unblock(BlockKey key, long end) throws SQLException {
    boolean more = true;
    while (more && with.nanoTime().getAsLong() < end) {
      long begun = with.nanoTime().getAsLong();
      int limit = parkedRows();
      List<LedgerRow> rows = with.parked().waiting(key, position, limit);
      if (!rows.isEmpty() && !sendParked(rows, refusal(key))) {
        return;
      }
      with.page().sent(rows.size(), with.nanoTime().getAsLong() - begun);
      more = PageSize.isFull(rows, limit);
    }
    if (!more) {
      with.parked().unblock(key);
      with.sorter().blocked().remove(key);
    }
  }

  private Refusal refusal(BlockKey key) {
    return (row, reason) -> {
      if (key.isWholeTopic()) {
        // the topic is back, the row is refused for itself
        with.parked().demote(row, reason);
        with.sorter().blockKeyOf(row, reason);
      } else {
        with.parked().refuse(key, reason);
      }
    };
  }

  /** The position names them all, and must stay a small record. */
  private int parkedRows() {
    return Math.min(MOST_PARKED, with.page().rows());
  }

  /** Told which of the rows can still not be sent. */
  private interface Refusal {
    void of(LedgerRow row, String reason) throws SQLException;
  }

  /** Returns false when they are not all sent. */
  private boolean sendParked(List<LedgerRow> rows, Refusal refusal) throws SQLException {
    with.sorter().forgetTopics();
    for (LedgerRow row : rows) {
      String poison = with.sorter().poison(row);
      if (poison != null) {
        refusal.of(row, poison);
        return false;
      }
    }
    RelayPosition next = position.deleting(rows);
    try {
      with.lane().commit(rows, next);
      with.lane().settle();
    } catch (RefusedException e) {
      RowName first = e.row();
      RowName culprit = culprit(rows.size(), e);
      if (SendFailure.of(e) == SendFailure.TOPIC) {
        if (first == null) {
          // the position topic: nothing can be published
          throw e;
        }
        report(first, e);
      } else if (culprit == null) {
        with.page().shrink();
      } else {
        for (LedgerRow row : rows) {
          if (row.seq() == culprit.seq()) {
            refusal.of(row, "Kafka refuses it: " + e.getMessage());
          }
        }
      }
      if (!e.senderGoesOn()) {
        throw e;
      }
      return false;
    }
    with.parked().forget(next.undeleted());
    position = next;
    return true;
  }

  /**
   * The row that is refused for itself; null: not known. Only for its size one is: else it may have
   * stood in a batch with the culprit.
   */
  private static @Nullable RowName culprit(long sent, RefusedException refusal) {
    return sent == 1 || refusal.getCause() instanceof RecordTooLargeException
        ? refusal.row()
        : null;
  }
}
