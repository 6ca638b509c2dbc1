package dev.lockstep.outbox;

import java.time.Duration;

/**
 * What a relay did since its start, and what waits.
 *
 * @param rows that were published
 * @param commits Kafka transactions, and flushes of the express lane
 * @param commitTime of them all together, from the first send on
 * @param latency of all rows together, from the beginning of the transaction that wrote them to the
 *     acknowledgement, by the database's clock
 * @param backlog rows that are committed and not published, in the shards of this relay; counted up
 *     to 10,000 a shard, at most a second old while the database answers
 * @param oldest age of the oldest of them
 */
public record RelayStats(
    long rows,
    long commits,
    Duration commitTime,
    Duration latency,
    long backlog,
    Duration oldest) {}
