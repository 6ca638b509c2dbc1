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

  /** Told of what is in Kafka. */
  interface Meter {
    void published(List<LedgerRow> rows, long nanos, RelayPosition position);
  }

  /** Told of what Kafka refuses. */
  interface Verdicts {

    /** A row will never be taken. */
    void condemn(LedgerRow row, String reason);

    /** A topic cannot be written to now. */
    void report(String topic, String reason);
  }

  /** A page that was read while the one before it was on its way. */
  private record Ahead(RelayPosition position, Page page) {}

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
    RelayPosition next = page.behind().of(sorted);
    long begun = with.nanoTime().getAsLong();
    try {
      with.lane()
          .commit(
              sorted.sent(),
              next,
              page.more() && sorted.isWhole() ? () -> readAhead(next) : () -> {});
    } catch (RefusedException e) {
      refused(sorted.sent(), e);
      if (!sorted.asides().isEmpty()) {
        // the position has not passed them: they are decided again
        with.parked().forgetAhead(position);
      }
      return true;
    }
    long nanos = with.nanoTime().getAsLong() - begun;
    with.page().sent(page.rows().size(), nanos);
    with.sorter().done(sorted);
    position = next;
    with.meter().published(sorted.sent(), nanos, next);
    with.ledger().published(sorted.sent());
    return true;
  }

  private void readAhead(RelayPosition next) {
    try {
      Page page = with.ledger().next(next, with.page().rows());
      ahead = page == null ? null : new Ahead(next, page);
    } catch (SQLException e) {
      // it is read again when it is wanted, and then fails where somebody can hear it
      LOG.debug("The next page could not be read ahead", e);
    }
  }

  private void refused(List<LedgerRow> sent, RefusedException refusal) {
    LedgerRow row = refusal.row();
    LedgerRow culprit = culprit(sent, refusal);
    if (row == null || sent.isEmpty()) {
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
  private void report(LedgerRow row, RefusedException refusal) {
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
      LedgerRow first = e.row();
      LedgerRow culprit = culprit(rows, e);
      if (SendFailure.of(e) == SendFailure.TOPIC) {
        if (first == null) {
          // the position topic: nothing can be published
          throw e;
        }
        report(first, e);
      } else if (culprit == null) {
        with.page().shrink();
      } else {
        refusal.of(culprit, "Kafka refuses it: " + e.getMessage());
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
  private static @Nullable LedgerRow culprit(List<LedgerRow> sent, RefusedException refusal) {
    return sent.size() == 1 || refusal.getCause() instanceof RecordTooLargeException
        ? refusal.row()
        : null;
  }
}
