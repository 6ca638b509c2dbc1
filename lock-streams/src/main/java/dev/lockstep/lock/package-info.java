/**
 * Distributed locks as event streams: mutual exclusion with waiting, sessions, fencing tokens.
 *
 * <p>{@link dev.lockstep.lock.LockService} decides (run it anywhere, several times), {@link
 * dev.lockstep.lock.LockClient} acquires, {@link dev.lockstep.lock.JdbcFence} guards what a lock
 * protects, {@link dev.lockstep.lock.LockEvents} tells who held what.
 */
@NullMarked
package dev.lockstep.lock;

import org.jspecify.annotations.NullMarked;
