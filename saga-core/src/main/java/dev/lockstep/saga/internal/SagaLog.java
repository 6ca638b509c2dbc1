package dev.lockstep.saga.internal;

import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.saga.SagaException;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.kernel.Layout;

/** The saga log as its Layout describes it: keys are hashed modulo the Layout's count. */
public record SagaLog(String topic, int partitions) {

  public static SagaLog of(LockstepConfig config) {
    String topic = config.named(SagaSchemas.LOG);
    try (TopicAdmin admin = new TopicAdmin(config)) {
      Layout layout = admin.layouts().get(topic);
      if (layout == null) {
        throw new SagaException(
            "Topic '" + topic + "' has no Layout yet: create it with TopicAdmin.create");
      }
      return new SagaLog(topic, layout.getPartitions());
    }
  }
}
