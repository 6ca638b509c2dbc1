package dev.lockstep.saga.internal;

import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.saga.SagaException;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.kernel.Layout;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The saga log as its Layout describes it: keys are hashed modulo the Layout's count. */
public record SagaLog(String topic, int partitions) {

  private static final Logger LOG = LoggerFactory.getLogger(SagaLog.class);

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

  /**
   * Compares definitions with what the Layout allows. One that it does not allow yet is no fault: a
   * release knows a definition first, and is allowed it when every instance does.
   */
  public static void requireUnchanged(LockstepConfig config, Definitions definitions) {
    String topic = config.named(SagaSchemas.LOG);
    Layout layout = layout(config, topic);
    if (layout == null) {
      // the host reports it with everything else that is missing
      return;
    }
    List<String> faults = new ArrayList<>();
    definitions
        .fingerprints()
        .forEach(
            (limit, fingerprint) -> {
              Long allowed = layout.getLimits().get(limit);
              if (allowed == null) {
                LOG.warn(
                    "{} is not allowed by the Layout of '{}' yet, its sagas are rejected: call SagaTopics.allow when every instance knows it",
                    limit,
                    topic);
              } else if (!allowed.equals(fingerprint)) {
                faults.add(
                    "%s has fingerprint %016x here and %016x in the Layout: every change is a new version"
                        .formatted(limit, fingerprint, allowed));
              }
            });
    if (!faults.isEmpty()) {
      throw new SagaException(
          "Sagas cannot start on '%s': %s".formatted(topic, String.join("; ", faults)));
    }
  }

  private static @Nullable Layout layout(LockstepConfig config, String topic) {
    try (TopicAdmin admin = new TopicAdmin(config)) {
      return admin.layouts().get(topic);
    } catch (KernelException e) {
      return null;
    }
  }
}
