package dev.lockstep.outbox.internal.relay;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;

/**
 * The shard of a row as the ledger computes it ({@code lockstep_outbox.shard}): servers before
 * version 18 leave generated columns out of the log. Not thread-safe.
 */
final class ShardOf {

  private final int shards;
  private final MessageDigest md5;

  /**
   * @param shards of each lane
   */
  ShardOf(int shards) {
    this.shards = shards;
    try {
      this.md5 = MessageDigest.getInstance("MD5");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("Every Java platform has MD5", e);
    }
  }

  int of(LedgerRow row) {
    byte[] key = row.key();
    byte[] orderedBy =
        key != null
            ? key
            : (row.partition() == null ? row.id().toString() : row.topic() + "/" + row.partition())
                .getBytes(StandardCharsets.UTF_8);
    long hash = Integer.toUnsignedLong(ByteBuffer.wrap(md5.digest(orderedBy)).getInt());
    return (int) (row.lane() * (long) shards + hash % shards);
  }
}
