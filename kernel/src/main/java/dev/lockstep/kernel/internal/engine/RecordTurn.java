package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.Effects;
import dev.lockstep.kernel.LogTime;
import dev.lockstep.kernel.Store;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.kernel.Layout;

/** A turn over one log record. */
record RecordTurn(
    Object input, LogRecord record, LogTime now, Layout layout, Store store, Effects effects)
    implements Turn {

  @Override
  public long offset() {
    return record.offset();
  }

  @Override
  public int partition() {
    return record.partition();
  }
}
