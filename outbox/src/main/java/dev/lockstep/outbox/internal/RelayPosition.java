package dev.lockstep.outbox.internal;

import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import org.jspecify.annotations.Nullable;

/**
 * How far a shard was published; value of the position topic.
 *
 * @param prev snapshot whose rows are all published, as PostgreSQL writes it
 * @param window snapshot that is being published page by page; empty: none
 * @param lastSeq highest seq of {@code window} that is published
 * @param maxSeq highest seq that was ever published: rows above it that {@code prev} sees come from
 *     transaction ids that a crashed server handed out again
 * @param relayEpoch rises with every relay that takes the shard over
 */
public record RelayPosition(
    String prev, String window, long lastSeq, long maxSeq, long relayEpoch) {

  /** Nothing is published: everything still in the table comes first. */
  public static final RelayPosition START = new RelayPosition("1:1:", "", 0, 0, 0);

  private static final SingleObjectCodec CODEC =
      new SingleObjectCodec(SchemaCatalog.of(RelayPosition.class));

  RelayPosition takenOver() {
    return new RelayPosition(prev, window, lastSeq, maxSeq, relayEpoch + 1);
  }

  /** After a page of a window that has more. */
  RelayPosition within(String snapshot, long seq) {
    return new RelayPosition(prev, snapshot, seq, Math.max(maxSeq, seq), relayEpoch);
  }

  /** After the last page of a window. */
  RelayPosition drained(String snapshot, long seq) {
    return new RelayPosition(snapshot, "", 0, Math.max(maxSeq, seq), relayEpoch);
  }

  /** After rows that {@code prev} saw but nobody had published. */
  RelayPosition recovered(long seq) {
    return new RelayPosition(prev, window, lastSeq, Math.max(maxSeq, seq), relayEpoch);
  }

  byte[] encode() {
    return CODEC.encode(this);
  }

  static RelayPosition decode(byte @Nullable [] value) {
    return value == null ? START : (RelayPosition) CODEC.decode(value);
  }
}
