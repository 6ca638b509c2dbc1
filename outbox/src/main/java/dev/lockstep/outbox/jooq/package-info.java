/**
 * Publishes inside transactions of jOOQ. Needs {@code jooq} 3.19 or newer, which this module does
 * not bring.
 */
@NullMarked
package dev.lockstep.outbox.jooq;

import org.jspecify.annotations.NullMarked;
