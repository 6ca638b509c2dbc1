package dev.lockstep.outbox;

import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.UUID;

/**
 * What a reconcile found and did.
 *
 * @param source the outbox's new id: header {@code lockstep-row} of what is published from now on
 * @param rows of the ledger that it decided about
 * @param published of these, those that stood in their topics, or were told to count as published
 * @param sent rows that were in no topic and are now; after a retry on the express lane some are
 *     counted twice
 * @param aside rows that wait aside now
 * @param superseded rows that are in no compacted topic while a later one of their key is: they may
 *     have been compacted away, and would set their key back, so they were not sent
 * @param returned rows that were waiting aside or for their time again although they were
 *     published: they were removed there
 * @param lost rows that were published and that the database has lost
 * @param lostSince rows that were written before it cannot be judged: their segments may have been
 *     truncated. Empty: none can, the ledger has no row and {@link ReconcileRequest#restoredTo} was
 *     not given
 * @param lostRows the first 1,000 of them
 */
public record ReconcileReport(
    UUID source,
    long rows,
    long published,
    long sent,
    long aside,
    long superseded,
    long returned,
    long lost,
    Optional<Instant> lostSince,
    List<LostRow> lostRows) {

  /**
   * A row that is in a topic and not in the database.
   *
   * @param id of the message
   * @param topic where it is
   * @param partition where it is
   * @param offset where it is
   * @param writtenAt when its transaction began, clock of the database
   */
  public record LostRow(UUID id, String topic, int partition, long offset, Instant writtenAt) {}

  /** Copies the list. */
  public ReconcileReport {
    lostRows = List.copyOf(lostRows);
  }
}
