package dev.lockstep.outbox.internal.relay;

import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * How far a shard was published; value of the position topic.
 *
 * @param origin the ledger that it is a position in
 * @param prev snapshot whose rows are all published, as PostgreSQL writes it
 * @param window snapshot that is being published page by page; empty: none
 * @param lastSeq highest seq of {@code window} that is published
 * @param maxSeq highest seq that was ever published: rows above it that {@code prev} sees come from
 *     transaction ids that a crashed server handed out again
 * @param relayEpoch rises with every relay that takes the shard over
 * @param newest ids of the last rows of the last page, 1,000 at most: a database that took over
 *     must have them
 * @param newestAt when the last of them was written, ms since the epoch, clock of the database
 * @param undeleted {@code seq:id} of rows that the same transaction published and that must be
 *     deleted before anything else: parked ones, and all where there are no snapshots
 */
record RelayPosition(
    Origin origin,
    String prev,
    String window,
    long lastSeq,
    long maxSeq,
    long relayEpoch,
    List<String> newest,
    long newestAt,
    List<String> undeleted) {

  private static final int NEWEST = 1_000;

  /**
   * A ledger.
   *
   * @param source id of the outbox, from its first migration
   * @param system identifier of the PostgreSQL cluster
   * @param timeline of the PostgreSQL cluster; rises with each fail-over and restore
   */
  record Origin(String source, String system, long timeline) {

    static final Origin NONE = new Origin("", "", 0);

    /** In place of a timeline. */
    private static final long UNFINISHED = -1;

    /** Tells whether a reconcile was, or is, under way from it. */
    boolean isUnfinished() {
      return timeline == UNFINISHED;
    }
  }

  /** Nothing is published: everything still in the table comes first. */
  static final RelayPosition START =
      new RelayPosition(Origin.NONE, "1:1:", "", 0, 0, 0, List.of(), 0, List.of());

  private static final SingleObjectCodec CODEC =
      new SingleObjectCodec(SchemaCatalog.of(RelayPosition.class));

  /**
   * A relay takes the shard over.
   *
   * @param present snapshot of the ledger as it is now
   */
  RelayPosition takenOver(Origin ledger, String present) {
    return new RelayPosition(
        ledger,
        both(prev, present),
        window.isEmpty() ? window : both(window, present),
        lastSeq,
        maxSeq,
        relayEpoch + 1,
        newest,
        newestAt,
        // who takes over next must know of them as well
        undeleted);
  }

  private static String both(String snapshot, String present) {
    Seen seen = Seen.of(snapshot);
    seen.retain(Seen.of(present));
    return seen.toString();
  }

  /** A relay takes the shard over where there are no snapshots. */
  RelayPosition takenOver(Origin ledger) {
    return new RelayPosition(
        ledger, prev, window, lastSeq, maxSeq, relayEpoch + 1, newest, newestAt, undeleted);
  }

  /**
   * A reconcile takes the shard over, or goes on in it.
   *
   * @param run names it, as a source that no ledger has: no relay starts from here
   */
  RelayPosition reconciling(UUID run, long epoch) {
    boolean goesOn = origin.source().equals(run.toString());
    return new RelayPosition(
        new Origin(run.toString(), origin.system(), Origin.UNFINISHED),
        prev,
        "",
        goesOn ? lastSeq : 0,
        maxSeq,
        epoch,
        goesOn ? newest : List.of(),
        goesOn ? newestAt : 0,
        List.of());
  }

  /** The same, of another owner. */
  RelayPosition atEpoch(long epoch) {
    return new RelayPosition(
        origin, prev, window, lastSeq, maxSeq, epoch, newest, newestAt, undeleted);
  }

  /** Tells whether a row is published, or waits aside. */
  boolean hasPassed(long xid, long seq) {
    return (seq <= maxSeq && Seen.of(prev).sees(xid))
        || (!window.isEmpty() && seq <= lastSeq && Seen.of(window).sees(xid));
  }

  /** After a page of a reconcile. */
  RelayPosition past(List<LedgerRow> page) {
    return behind(page, prev, window, last(page, lastSeq));
  }

  /**
   * Every row that a snapshot sees is published, or waits aside.
   *
   * @param highest seq of these rows; 0: none
   */
  RelayPosition reconciled(Origin ledger, String snapshot, long highest) {
    return new RelayPosition(
        ledger,
        snapshot,
        "",
        0,
        Math.max(maxSeq, highest),
        relayEpoch,
        newest,
        newestAt,
        List.of());
  }

  /** After a page of a window that has more. */
  RelayPosition within(String snapshot, List<LedgerRow> page) {
    return behind(page, prev, snapshot, last(page, lastSeq));
  }

  /** After the last page of a window. */
  RelayPosition drained(String snapshot, List<LedgerRow> page) {
    return behind(page, snapshot, "", 0);
  }

  /** The same with a snapshot that sees more, all of it published. */
  RelayPosition seeing(String snapshot) {
    return new RelayPosition(
        origin, snapshot, window, lastSeq, maxSeq, relayEpoch, newest, newestAt, undeleted);
  }

  /** After rows that do not come by seq. */
  RelayPosition within(String snapshot, String next, long last, List<LedgerRow> page) {
    return behind(page, snapshot, next, last);
  }

  /** After rows that {@code prev} saw but nobody had published. */
  RelayPosition recovered(List<LedgerRow> page) {
    return behind(page, prev, window, lastSeq);
  }

  private RelayPosition behind(
      List<LedgerRow> page, String newPrev, String newWindow, long newLastSeq) {
    return new RelayPosition(
        origin,
        newPrev,
        newWindow,
        newLastSeq,
        page.stream().mapToLong(LedgerRow::seq).reduce(maxSeq, Math::max),
        relayEpoch,
        newest(page),
        newestAt(page),
        List.of());
  }

  /** After rows that are deleted behind it. */
  RelayPosition deleting(List<LedgerRow> rows) {
    return new RelayPosition(
        origin,
        prev,
        window,
        lastSeq,
        maxSeq,
        relayEpoch,
        newest,
        newestAt,
        rows.stream().map(row -> row.seq() + ":" + row.id()).toList());
  }

  private List<String> newest(List<LedgerRow> page) {
    return page.isEmpty()
        ? newest
        : page.subList(Math.max(0, page.size() - NEWEST), page.size()).stream()
            .map(row -> row.id().toString())
            .toList();
  }

  private long newestAt(List<LedgerRow> page) {
    return page.isEmpty() ? newestAt : page.get(page.size() - 1).createdAt();
  }

  private static long last(List<LedgerRow> page, long otherwise) {
    return page.isEmpty() ? otherwise : page.get(page.size() - 1).seq();
  }

  byte[] encode() {
    return CODEC.encode(this);
  }

  static RelayPosition decode(byte @Nullable [] value) {
    return value == null ? START : (RelayPosition) CODEC.decode(value);
  }
}
