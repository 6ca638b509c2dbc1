/** What databases disagree about, and the tables in each of them. */
@NullMarked
package dev.lockstep.outbox.internal.sql;

import org.jspecify.annotations.NullMarked;
