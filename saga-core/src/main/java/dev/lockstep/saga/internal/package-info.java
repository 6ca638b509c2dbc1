/** How definitions are built. */
@NullMarked
package dev.lockstep.saga.internal;

import org.jspecify.annotations.NullMarked;
