package dev.lockstep.outbox.internal.relay;

import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.LongSupplier;

/** What the shards of a relay did since its start; those that moved away are still counted. */
final class RelayCounters {

  final LongAdder rows = new LongAdder();
  final LongAdder commits = new LongAdder();
  final LongAdder commitNanos = new LongAdder();
  final LongAdder latencyMillis = new LongAdder();

  /**
   * Begins to count a commit.
   *
   * @param nowMillis by the database's clock, as {@code created_at} of rows is
   * @param reached told where the shard is behind it
   */
  Publishing.Tally begin(LongSupplier nowMillis, Consumer<RelayPosition> reached) {
    return new Commit(nowMillis, reached);
  }

  private final class Commit implements Publishing.Tally {

    private final LongSupplier nowMillis;
    private final Consumer<RelayPosition> reached;
    private long count;
    private long createdAt;

    Commit(LongSupplier nowMillis, Consumer<RelayPosition> reached) {
      this.nowMillis = nowMillis;
      this.reached = reached;
    }

    @Override
    public void add(List<LedgerRow> page) {
      count += page.size();
      for (LedgerRow row : page) {
        createdAt += row.createdAt();
      }
    }

    @Override
    public void published(long nanos, RelayPosition position) {
      rows.add(count);
      commits.increment();
      commitNanos.add(nanos);
      // clocks of a database may differ behind a fail-over
      latencyMillis.add(Math.max(0, count * nowMillis.getAsLong() - createdAt));
      reached.accept(position);
    }
  }
}
