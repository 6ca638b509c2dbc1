package dev.lockstep.schema;

import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Rejected;
import dev.lockstep.schema.kernel.Tick;
import dev.lockstep.schema.state.FoldState;

/** Catalog of what every machine's topics carry. */
public final class KernelSchemas {

  /** Layout, Tick, Rejected, and the host's own state row. */
  public static final SchemaCatalog CATALOG =
      SchemaCatalog.of(Layout.class, Tick.class, Rejected.class, FoldState.class);

  private KernelSchemas() {}
}
