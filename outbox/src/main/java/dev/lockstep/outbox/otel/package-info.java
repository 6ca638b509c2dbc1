/** Carries traces of OpenTelemetry through an outbox. */
@NullMarked
package dev.lockstep.outbox.otel;

import org.jspecify.annotations.NullMarked;
