/**
 * A transactional outbox: what a database transaction publishes is sent to Kafka when it commits,
 * and never when it rolls back.
 *
 * <p>{@link dev.lockstep.outbox.Outbox} writes, {@link dev.lockstep.outbox.OutboxRelay} publishes,
 * {@link dev.lockstep.outbox.Inbox} takes each message once at the other end.
 *
 * <pre>
 *   business tables + ledger --(one database transaction)--> relay --> Kafka
 * </pre>
 */
@NullMarked
package dev.lockstep.outbox;

import org.jspecify.annotations.NullMarked;
