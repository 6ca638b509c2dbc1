package dev.lockstep.kernel.internal.streams;

/** What all tasks of a host share. */
record HostParts(
    StoppedPartitions stopped,
    Alarms alarms,
    LogGuard guard,
    Ticker ticker,
    LocalState local,
    HostMeter meter,
    int unwrittenRows,
    boolean twice) {}
