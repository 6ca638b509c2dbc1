package dev.lockstep.outbox.internal.relay;

/**
 * A row that is not published now.
 *
 * @param reason for operators
 * @param waits true: in its order, until its key or topic is unblocked; false: alone
 */
record Aside(LedgerRow row, String reason, boolean waits) {}
