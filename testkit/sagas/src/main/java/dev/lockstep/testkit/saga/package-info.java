/**
 * Tests saga definitions in virtual time, without a broker and without participants: {@link
 * dev.lockstep.testkit.saga.SagaScenario}.
 */
@NullMarked
package dev.lockstep.testkit.saga;

import org.jspecify.annotations.NullMarked;
