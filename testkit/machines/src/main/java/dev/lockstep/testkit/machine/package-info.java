/** Checks that a machine is pure. */
@NullMarked
package dev.lockstep.testkit.machine;

import org.jspecify.annotations.NullMarked;
