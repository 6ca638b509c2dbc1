package dev.lockstep.outbox;

import java.time.Instant;
import java.util.UUID;
import org.jspecify.annotations.Nullable;

/**
 * A row that was put aside.
 *
 * @param id identity of the message
 * @param topic physical name
 * @param key record key
 * @param bytes of its payload
 * @param reason why it is here
 * @param createdAt when it was written, clock of the database
 * @param isWaiting true: it goes out when its key or topic is unblocked; false: when an operator
 *     publishes it again
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record ParkedRow(
    UUID id,
    String topic,
    byte @Nullable [] key,
    int bytes,
    String reason,
    Instant createdAt,
    boolean isWaiting) {}
