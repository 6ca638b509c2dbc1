/**
 * Records on the wire: schemas, codecs, headers and positions.
 *
 * <p>Start with {@link dev.lockstep.schema.SchemaCatalog} (what a program can read), {@link
 * dev.lockstep.schema.SingleObjectCodec} (how it is written) and {@link
 * dev.lockstep.schema.EffectPosition} (where a record of a machine comes from). The protocol
 * records themselves are generated from {@code schemas/src/main/avro}.
 */
@NullMarked
package dev.lockstep.schema;

import org.jspecify.annotations.NullMarked;
