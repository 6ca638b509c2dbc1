/**
 * Tests machines without a broker: a partition in virtual time, and the double-execution check.
 *
 * <p>{@link dev.lockstep.testkit.machine.VirtualPartition} runs a machine and shows its effects;
 * {@link dev.lockstep.testkit.machine.DoubleExecution} folds the same log in JVMs that differ in
 * whatever a pure machine must not depend on.
 */
@NullMarked
package dev.lockstep.testkit.machine;

import org.jspecify.annotations.NullMarked;
