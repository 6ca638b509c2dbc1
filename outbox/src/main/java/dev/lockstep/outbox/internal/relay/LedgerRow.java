package dev.lockstep.outbox.internal.relay;

import java.util.List;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * One row to publish.
 *
 * @param fault why it can never be published as it is: null when it can
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
record LedgerRow(
    long seq,
    UUID id,
    int lane,
    String topic,
    @Nullable Integer partition,
    byte @Nullable [] key,
    byte @Nullable [] payload,
    List<String> headers,
    long createdAt,
    long bytes,
    @Nullable String fault) {}
