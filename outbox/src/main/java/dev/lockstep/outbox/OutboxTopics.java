package dev.lockstep.outbox;

import dev.lockstep.outbox.internal.OutboxShards;
import dev.lockstep.schema.TopicSpec;

/** Topics of an outbox. */
public final class OutboxTopics {

  private OutboxTopics() {}

  /**
   * Plans the topic that keeps a relay's positions.
   *
   * @param options name of the outbox and prefix of the environment
   * @return compacted topic with one partition per shard
   */
  public static TopicSpec positions(RelayOptions options) {
    return TopicSpec.compacted(options.positionsTopic(), OutboxShards.ALL);
  }
}
