package dev.lockstep.outbox.internal.relay;

import java.util.UUID;

/**
 * What is kept of a row while it is on its way: with what it carries, a backlog on its way would
 * outlive the young generation.
 */
record RowName(long seq, UUID id, String topic) {

  static RowName of(LedgerRow row) {
    return new RowName(row.seq(), row.id(), row.topic());
  }
}
