package dev.lockstep.outbox;

import java.time.Duration;
import java.util.Optional;

/**
 * What an outbox holds.
 *
 * @param rows in the ledger, published or not; counted up to 10,000
 * @param oldest age of the oldest row in the ledger; empty: no row
 * @param reach how long rows stay at least after they are published: as far as a replay can go back
 * @param scheduled messages whose time has not come; counted up to 10,000
 * @param parked rows put aside; counted up to 10,000
 * @param pausedBy who paused the relays, and why; empty: they run
 */
public record OutboxStatus(
    int rows,
    Optional<Duration> oldest,
    Duration reach,
    int scheduled,
    int parked,
    Optional<String> pausedBy) {}
