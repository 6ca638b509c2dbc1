/** Publishes what is stored: reading the ledger, sending, and remembering how far it came. */
@NullMarked
package dev.lockstep.outbox.internal.relay;

import org.jspecify.annotations.NullMarked;
