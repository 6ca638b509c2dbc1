/**
 * Publishes inside JTA transactions. Needs {@code jakarta.transaction-api} 2.0 or newer, which this
 * module does not bring.
 */
@NullMarked
package dev.lockstep.outbox.jta;

import org.jspecify.annotations.NullMarked;
