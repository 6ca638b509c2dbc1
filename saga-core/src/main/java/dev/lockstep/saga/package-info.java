/**
 * Sagas: a business transaction over several services, each step a local transaction, undone in
 * reverse when one fails.
 *
 * <p>{@link dev.lockstep.saga.Saga} defines, {@link dev.lockstep.saga.SagaService} decides, {@link
 * dev.lockstep.saga.Participant} does, {@link dev.lockstep.saga.SagaClient} starts and waits.
 */
@NullMarked
package dev.lockstep.saga;

import org.jspecify.annotations.NullMarked;
