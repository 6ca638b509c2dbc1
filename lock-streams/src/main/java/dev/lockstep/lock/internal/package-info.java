/** What the parts of the lock service share. Not for use by applications. */
@org.jspecify.annotations.NullMarked
package dev.lockstep.lock.internal;
