/** Lock services under test. */
@NullMarked
package dev.lockstep.benchmark.locks.system;

import org.jspecify.annotations.NullMarked;
