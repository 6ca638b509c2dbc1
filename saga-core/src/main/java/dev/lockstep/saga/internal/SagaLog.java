package dev.lockstep.saga.internal;

import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.saga.SagaException;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.kernel.Layout;
import java.util.Map;
import java.util.Optional;

/**
 * The saga log as its Layout describes it: keys are hashed modulo the Layout's count, limits name
 * the definitions that are allowed.
 */
public record SagaLog(String topic, int partitions, Map<String, Long> limits) {

  public static SagaLog of(LockstepConfig config) {
    return find(config)
        .orElseThrow(
            () ->
                new SagaException(
                    "Topic '%s' has no Layout yet: create it with TopicAdmin.create"
                        .formatted(config.named(SagaSchemas.LOG))));
  }

  public static Optional<SagaLog> find(LockstepConfig config) {
    String topic = config.named(SagaSchemas.LOG);
    try (TopicAdmin admin = new TopicAdmin(config)) {
      Layout layout = admin.layouts().get(topic);
      return Optional.ofNullable(layout)
          .map(found -> new SagaLog(topic, found.getPartitions(), found.getLimits()));
    }
  }
}
