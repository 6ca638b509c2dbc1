/**
 * Publishes inside transactions of Spring. Needs {@code spring-tx} and {@code spring-jdbc} 6.2 or
 * newer, which this module does not bring.
 */
@NullMarked
package dev.lockstep.outbox.spring;

import org.jspecify.annotations.NullMarked;
