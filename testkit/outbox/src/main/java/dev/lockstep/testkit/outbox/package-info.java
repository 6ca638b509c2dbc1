/**
 * Tells whether a relay loses, repeats or reorders messages, whoever made it.
 *
 * <p>{@link dev.lockstep.testkit.outbox.AnomalyWriters} writes to an outbox so that transactions
 * overtake each other in every way that a database allows; {@link
 * dev.lockstep.testkit.outbox.DeliveryCheck} reads what came out at the other end.
 */
@NullMarked
package dev.lockstep.testkit.outbox;

import org.jspecify.annotations.NullMarked;
