/** The host of a fold on Kafka Streams: clients, guards, ticks, watches. */
@NullMarked
package dev.lockstep.kernel.internal.streams;

import org.jspecify.annotations.NullMarked;
