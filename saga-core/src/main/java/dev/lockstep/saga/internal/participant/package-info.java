/** How a participant does commands: barrier, handler, reply in one transaction. */
@NullMarked
package dev.lockstep.saga.internal.participant;

import org.jspecify.annotations.NullMarked;
