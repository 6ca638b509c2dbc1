/** How the two kinds of types meet Avro's binary encoding. */
@NullMarked
package dev.lockstep.schema.internal;

import org.jspecify.annotations.NullMarked;
