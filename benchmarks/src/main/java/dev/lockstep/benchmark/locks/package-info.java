/** Locks in a closed loop. */
@NullMarked
package dev.lockstep.benchmark.locks;

import org.jspecify.annotations.NullMarked;
