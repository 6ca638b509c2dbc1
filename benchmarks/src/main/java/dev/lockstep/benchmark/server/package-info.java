/** Servers of others, started from installed packages. */
@NullMarked
package dev.lockstep.benchmark.server;

import org.jspecify.annotations.NullMarked;
