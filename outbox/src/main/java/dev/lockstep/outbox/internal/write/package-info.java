/** Stores messages in the caller's transaction. */
@NullMarked
package dev.lockstep.outbox.internal.write;

import org.jspecify.annotations.NullMarked;
