/** The saga machine: pure, free of Kafka. */
@NullMarked
package dev.lockstep.saga.internal.engine;

import org.jspecify.annotations.NullMarked;
