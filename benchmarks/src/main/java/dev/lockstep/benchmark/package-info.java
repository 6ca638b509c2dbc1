/** Benchmarks: the same work, side by side, in one run. */
@NullMarked
package dev.lockstep.benchmark;

import org.jspecify.annotations.NullMarked;
