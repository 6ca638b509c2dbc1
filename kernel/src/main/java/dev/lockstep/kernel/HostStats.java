package dev.lockstep.kernel;

/**
 * What a host has done since it was started.
 *
 * @param folded input records
 * @param announced effects given to the express lane
 * @param pending of those, not yet acknowledged: the lag of the express lane. What a failed lane
 *     did not deliver is announced again, and counted again
 * @param commits transactions of state
 * @param commitNanos time that commits took, from the wait for the express lane to the answer of
 *     the broker, all together
 */
public record HostStats(
    long folded, long announced, long pending, long commits, long commitNanos) {}
