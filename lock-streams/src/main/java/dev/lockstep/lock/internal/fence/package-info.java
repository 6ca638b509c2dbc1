/** Fencing tokens in databases. Not for use by applications. */
@NullMarked
package dev.lockstep.lock.internal.fence;

import org.jspecify.annotations.NullMarked;
