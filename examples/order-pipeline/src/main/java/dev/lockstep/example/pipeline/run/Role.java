package dev.lockstep.example.pipeline.run;

import java.util.Locale;

/** Parts of the pipeline that can run, and be killed, on their own. */
public enum Role {
  /** Decides locks. */
  LOCKS,
  /** Decides sagas. */
  ORCHESTRATOR,
  /** Takes invoices in; has a database. */
  ORDER,
  /** Keeps stock; has a database. */
  INVENTORY,
  /** Charges and refunds; has a database. */
  PAYMENT,
  /** Ships; has a database. */
  SHIPPING;

  /** Returns the name in lower case: of database, participant and outbox. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Tells whether it is one of the four services. */
  public boolean isService() {
    return this != LOCKS && this != ORCHESTRATOR;
  }
}
