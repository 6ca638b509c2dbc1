package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.internal.relay.RelayPosition.Origin;
import dev.lockstep.outbox.internal.sql.Dialect;
import java.sql.Connection;
import java.sql.SQLException;
import java.util.List;
import java.util.UUID;

/** Positions as relays write them, for tests that stand in for one. */
public final class Positions {

  private Positions() {}

  /** Returns the value of a record that has passed one row, of the first relay of a ledger. */
  public static byte[] behind(Connection connection, String source, long seq, UUID id)
      throws SQLException {
    Dialect dialect = Dialect.of(connection);
    List<LedgerRow> rows =
        List.of(new LedgerRow(seq, id, 0, "", null, null, null, List.of(), 1_000_000, 0, null));
    if (!dialect.hasSnapshots()) {
      return RelayPosition.START.takenOver(new Origin(source, "", 0)).deleting(rows).encode();
    }
    LedgerIdentity.Now now = LedgerIdentity.now(connection);
    return RelayPosition.START
        .takenOver(now.origin(), now.snapshot())
        .drained(now.snapshot(), rows)
        .encode();
  }
}
