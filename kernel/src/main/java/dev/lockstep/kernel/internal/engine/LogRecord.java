package dev.lockstep.kernel.internal.engine;

import org.jspecify.annotations.Nullable;

/**
 * One record of an input partition, as every host sees it.
 *
 * @param timestamp LogAppendTime, ms
 * @param position text of the position header, or null
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record LogRecord(
    int partition,
    long offset,
    long timestamp,
    int leaderEpoch,
    byte @Nullable [] key,
    byte @Nullable [] value,
    @Nullable String position) {}
