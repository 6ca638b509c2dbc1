/** The fold: pure, free of Kafka, the same in every host. */
@NullMarked
package dev.lockstep.kernel.internal.engine;

import org.jspecify.annotations.NullMarked;
