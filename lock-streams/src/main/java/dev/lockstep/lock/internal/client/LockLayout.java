package dev.lockstep.lock.internal.client;

import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.lock.LockException;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.Layout;

/** The Layout of the lock topic. */
public final class LockLayout {

  private LockLayout() {}

  /**
   * Reads the one in force.
   *
   * @throws LockException when there is none: create the topics first
   */
  public static Layout read(LockstepConfig config) {
    String topic = config.named(LockSchemas.COMMANDS);
    try (TopicAdmin admin = new TopicAdmin(config)) {
      Layout layout = admin.layouts().get(topic);
      if (layout == null) {
        throw new LockException(
            "Topic '" + topic + "' has no Layout yet: create it with TopicAdmin.create(plan)");
      }
      return layout;
    }
  }
}
