/** The lock machine: pure, free of Kafka. */
@NullMarked
package dev.lockstep.lock.internal.engine;

import org.jspecify.annotations.NullMarked;
