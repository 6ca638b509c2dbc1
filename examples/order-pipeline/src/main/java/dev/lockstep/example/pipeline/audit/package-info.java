/** The audit: evidence from databases and topics, checks, report. */
@NullMarked
package dev.lockstep.example.pipeline.audit;

import org.jspecify.annotations.NullMarked;
