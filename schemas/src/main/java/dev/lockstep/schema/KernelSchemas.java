package dev.lockstep.schema;

import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.NextEpoch;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.kernel.Tick;
import dev.lockstep.schema.state.FoldState;

/** Catalog of what every machine's topics carry. */
public final class KernelSchemas {

  /** Layouts and what starts an epoch, Tick, Rejected, and the host's own state row. */
  public static final SchemaCatalog CATALOG =
      SchemaCatalog.of(
          Layout.class,
          NextEpoch.class,
          CarriedRecord.class,
          CarriedMark.class,
          Tick.class,
          Rejected.class,
          FoldState.class);

  private KernelSchemas() {}
}
