/**
 * Child processes that can be killed, paused and resumed: the place where faults are made.
 *
 * <p>Start with {@link dev.lockstep.testkit.process.ChildJvm}, a JVM of its own on this class path;
 * it ends when its parent does, however the parent ends.
 */
@NullMarked
package dev.lockstep.testkit.process;

import org.jspecify.annotations.NullMarked;
