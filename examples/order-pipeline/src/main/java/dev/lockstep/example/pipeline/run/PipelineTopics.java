package dev.lockstep.example.pipeline.run;

import dev.lockstep.example.pipeline.service.OrderDesk;
import dev.lockstep.example.pipeline.service.OrderSagas;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.outbox.OutboxTopics;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import java.util.ArrayList;
import java.util.List;

/** The one list of all topics of the pipeline. */
public final class PipelineTopics {

  private PipelineTopics() {}

  /** Plans all topics. */
  public static TopicPlan plan(LockstepConfig config) {
    int partitions = Environment.PARTITIONS;
    List<TopicSpec> others = new ArrayList<>();
    others.add(TopicSpec.application(config.named(OrderDesk.TOPIC), 3));
    for (Role role : Role.values()) {
      if (role.isService()) {
        others.add(OutboxTopics.positions(RelayOptions.of(config, role.label())));
      }
    }
    return new TopicPlan(
        List.of(
            LockTopics.plan(config, partitions, List.of(SagaTopics.log(config, partitions))),
            SagaTopics.plan(config, OrderSagas.ALL, partitions, partitions)),
        others);
  }
}
