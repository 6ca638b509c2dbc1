/** What others may implement: {@link dev.lockstep.schema.spi.RecordCodec}. */
@NullMarked
package dev.lockstep.schema.spi;

import org.jspecify.annotations.NullMarked;
