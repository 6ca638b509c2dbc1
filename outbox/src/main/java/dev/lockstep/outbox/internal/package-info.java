/** Ledger, positions, lanes. */
@NullMarked
package dev.lockstep.outbox.internal;

import org.jspecify.annotations.NullMarked;
