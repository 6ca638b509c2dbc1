/** A real PostgreSQL server; {@link dev.lockstep.testkit.postgres.PostgresServer}. */
@NullMarked
package dev.lockstep.testkit.postgres;

import org.jspecify.annotations.NullMarked;
