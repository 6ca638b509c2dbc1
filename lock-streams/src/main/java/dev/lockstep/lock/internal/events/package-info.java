/** Where consumers of lock events stand. */
@NullMarked
package dev.lockstep.lock.internal.events;

import org.jspecify.annotations.NullMarked;
