package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.ReconcileReport.LostRow;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.MalformedRecordException;
import dev.lockstep.schema.RowSource;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Headers;
import org.jspecify.annotations.Nullable;

/** Marks rows that stand in topics, and notes those that the database has lost. Not thread-safe. */
final class FoundRows implements Consumer<ConsumerRecord<byte[], byte[]>> {

  private static final int MOST_LISTED = 1_000;

  private final RowIds ids;
  private final Set<String> sources;
  private final @Nullable Instant since;
  private final List<LostRow> lost = new ArrayList<>();

  /**
   * @param sources ids that the outbox ever had
   * @param since rows that were written before it may have been truncated; null: all may
   */
  FoundRows(RowIds ids, Set<String> sources, @Nullable Instant since) {
    this.ids = ids;
    this.sources = sources;
    this.since = since;
  }

  @Override
  public void accept(ConsumerRecord<byte[], byte[]> record) {
    RowSource from = source(record.headers());
    if (from == null) {
      return;
    }
    int known = RowIds.LEDGER | RowIds.ASIDE | RowIds.SCHEDULED;
    if ((ids.marks(from.row()) & known) != 0) {
      ids.mark(from.row(), RowIds.FOUND);
      return;
    }
    Instant writtenAt = writtenAt(record.headers());
    if (since != null
        && writtenAt != null
        && !writtenAt.isBefore(since)
        && sources.contains(from.source().toString())
        && LockstepHeaders.text(record.headers(), LockstepHeaders.REPLAY) == null
        && ids.mark(from.row(), RowIds.LOST)
        && lost.size() < MOST_LISTED) {
      lost.add(
          new LostRow(from.row(), record.topic(), record.partition(), record.offset(), writtenAt));
    }
  }

  /** The first of those that were lost. */
  List<LostRow> lost() {
    return lost;
  }

  /** Others write to these topics as well. */
  private static @Nullable RowSource source(Headers headers) {
    try {
      return RowSource.of(headers);
    } catch (MalformedRecordException e) {
      return null;
    }
  }

  private static @Nullable Instant writtenAt(Headers headers) {
    String text = LockstepHeaders.text(headers, LockstepHeaders.CE_TIME);
    try {
      return text == null ? null : Instant.parse(text);
    } catch (DateTimeParseException e) {
      return null;
    }
  }
}
