/** What is measured: ours, what bounds it, and what people use today. */
@NullMarked
package dev.lockstep.benchmark.outbox.system;

import org.jspecify.annotations.NullMarked;
