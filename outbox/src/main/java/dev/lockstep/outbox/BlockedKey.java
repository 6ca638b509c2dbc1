package dev.lockstep.outbox;

import java.time.Instant;
import org.jspecify.annotations.Nullable;

/**
 * A key, or a whole topic, whose rows wait.
 *
 * @param topic physical name
 * @param key record key; null: the whole topic, once for each shard that blocks it
 * @param reason what Kafka said
 * @param since when it began, clock of the database
 * @param waiting rows
 */
@SuppressWarnings("ArrayRecordComponent") // never compared
public record BlockedKey(
    String topic, byte @Nullable [] key, String reason, Instant since, int waiting) {}
