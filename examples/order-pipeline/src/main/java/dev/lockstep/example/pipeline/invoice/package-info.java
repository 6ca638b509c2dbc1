/** Invoices: reading, judging, planning stock and credit. */
@NullMarked
package dev.lockstep.example.pipeline.invoice;

import org.jspecify.annotations.NullMarked;
