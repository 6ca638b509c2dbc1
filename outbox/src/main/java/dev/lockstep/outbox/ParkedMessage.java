package dev.lockstep.outbox;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A message that a consumer put aside.
 *
 * @param id of its row; says nothing outside this database
 * @param consumer who could not handle it
 * @param topic physical name
 * @param partition of the topic
 * @param offset of the record
 * @param key record key
 * @param bytes of its payload
 * @param reason why it is here: what its handler threw last
 * @param parkedAt when it was put aside, clock of the database
 * @param isReleased true: it is handled again as soon as a consumer owns its partition
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record ParkedMessage(
    long id,
    String consumer,
    String topic,
    int partition,
    long offset,
    byte @Nullable [] key,
    int bytes,
    String reason,
    Instant parkedAt,
    boolean isReleased) {}
