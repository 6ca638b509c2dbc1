package dev.lockstep.outbox.internal;

/** How many shards the ledger's generated column makes: two per lane, exactly once first. */
public final class OutboxShards {

  /** Shards of one lane. */
  public static final int PER_LANE = 2;

  /** Shards of both lanes, and partitions of the position topic. */
  public static final int ALL = 2 * PER_LANE;

  private OutboxShards() {}
}
