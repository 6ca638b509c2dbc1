/**
 * The order pipeline: invoices of a shop go through four services as sagas under locks, and an
 * audit proves that nothing was lost or done twice.
 */
@NullMarked
package dev.lockstep.example.pipeline;

import org.jspecify.annotations.NullMarked;
