/** Takes messages once. */
@NullMarked
package dev.lockstep.outbox.internal.inbox;

import org.jspecify.annotations.NullMarked;
