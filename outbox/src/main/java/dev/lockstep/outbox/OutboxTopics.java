package dev.lockstep.outbox;

import dev.lockstep.schema.TopicSpec;

/** Topics of an outbox. */
public final class OutboxTopics {

  private OutboxTopics() {}

  /**
   * Plans the topic that keeps a relay's positions.
   *
   * @param options name of the outbox and prefix of the environment
   * @return compacted topic with one partition per shard, those of the exactly-once lane first
   */
  public static TopicSpec positions(RelayOptions options) {
    return TopicSpec.compacted(options.positionsTopic(), 2 * options.shards());
  }
}
