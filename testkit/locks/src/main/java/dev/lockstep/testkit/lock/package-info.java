/**
 * Checks what a lock service did against what it promises.
 *
 * <p>{@link dev.lockstep.testkit.lock.LockChecker} goes through a lock log and what it caused; it
 * shares no code with the lock machine. {@link dev.lockstep.testkit.lock.HeldIntervals} looks at
 * what clients believed, {@link dev.lockstep.testkit.lock.GuardedWrites} at what a guard let pass.
 */
@NullMarked
package dev.lockstep.testkit.lock;

import org.jspecify.annotations.NullMarked;
