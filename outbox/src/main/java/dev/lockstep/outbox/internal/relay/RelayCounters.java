package dev.lockstep.outbox.internal.relay;

import java.util.List;
import java.util.concurrent.atomic.LongAdder;

/** What the shards of a relay did since its start; those that moved away are still counted. */
final class RelayCounters {

  final LongAdder rows = new LongAdder();
  final LongAdder commits = new LongAdder();
  final LongAdder commitNanos = new LongAdder();
  final LongAdder latencyMillis = new LongAdder();

  /**
   * Rows are in Kafka.
   *
   * @param nowMillis by the database's clock, as their {@code created_at} is
   */
  void published(List<LedgerRow> sent, long nanos, long nowMillis) {
    rows.add(sent.size());
    commits.increment();
    commitNanos.add(nanos);
    long sum = 0;
    for (LedgerRow row : sent) {
      sum += Math.max(0, nowMillis - row.createdAt());
    }
    latencyMillis.add(sum);
  }
}
