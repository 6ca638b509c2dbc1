package dev.lockstep.saga;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.saga.internal.Definitions;
import dev.lockstep.saga.internal.engine.SagaMachine;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.TopicSpec;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Topics of the sagas. */
public final class SagaTopics {

  private SagaTopics() {}

  /**
   * Plans the saga topics: log, events, commands of every participant, rejected records. The
   * definitions stand in the Layout with their fingerprints.
   *
   * @param config prefix of the environment
   * @param sagas all definitions
   * @param partitions of log, events and commands
   * @param lockPartitions partitions of the lock topic
   * @return plan
   */
  public static InputPlan plan(
      LockstepConfig config, Collection<Saga<?>> sagas, int partitions, int lockPartitions) {
    List<TopicSpec> destinations = new ArrayList<>();
    destinations.add(TopicSpec.effects(config.named(SagaSchemas.EVENTS), partitions));
    destinations.add(TopicSpec.input(config.named(LockSchemas.COMMANDS), lockPartitions));
    for (String participant : participants(sagas)) {
      destinations.add(commands(config, participant, partitions));
    }
    Map<String, Long> limits = new HashMap<>(new Definitions(sagas).fingerprints());
    return InputPlan.of(machine(config, sagas), partitions, destinations).withLimits(limits);
  }

  /**
   * Describes the log as a topic that lock replies may go to.
   *
   * @param config prefix of the environment
   * @param partitions of the log
   * @return specification
   */
  public static TopicSpec log(LockstepConfig config, int partitions) {
    return TopicSpec.input(config.named(SagaSchemas.LOG), partitions);
  }

  /**
   * Describes the saga machine: for replays and audits.
   *
   * @param config prefix of the environment
   * @param sagas all definitions
   * @return description
   */
  public static MachineSpec machine(LockstepConfig config, Collection<Saga<?>> sagas) {
    Definitions definitions = new Definitions(sagas);
    return MachineSpec.of(
        "saga",
        config.named(SagaSchemas.LOG),
        SagaMachine.CATALOG,
        () -> new SagaMachine(definitions));
  }

  private static TopicSpec commands(LockstepConfig config, String participant, int partitions) {
    return TopicSpec.effects(config.named(SagaSchemas.commands(participant)), partitions);
  }

  private static Set<String> participants(Collection<Saga<?>> sagas) {
    Set<String> names = new TreeSet<>();
    for (Saga<?> saga : sagas) {
      for (Step<?> step : saga.steps()) {
        names.add(step.participant().name());
        if (step.undoneBy() != null) {
          names.add(step.undoneBy().name());
        }
      }
    }
    return names;
  }
}
