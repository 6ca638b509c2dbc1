/** Outboxes beside each other: draining a backlog, and latency at a steady load. */
@NullMarked
package dev.lockstep.benchmark.outbox;

import org.jspecify.annotations.NullMarked;
