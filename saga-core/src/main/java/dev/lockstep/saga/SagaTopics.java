package dev.lockstep.saga;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.saga.internal.Definitions;
import dev.lockstep.saga.internal.SagaLog;
import dev.lockstep.saga.internal.engine.SagaMachine;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.OperatorOrder;
import java.time.Clock;
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
            () -> new SagaMachine(definitions))
        .keepingInMemory(SagaMachine.SCANNED);
  }

  /**
   * Allows more definitions on a saga log that is in use: a second saga, or a new version. Creates
   * the command topics of their participants, then writes a Layout. Doing it again is safe.
   *
   * <p>Call it when every instance of the {@link SagaService} knows them: one that does not stops
   * at the first saga of theirs.
   *
   * @param config prefix of the environment
   * @param sagas definitions to add
   * @param principal who allows them
   * @param reason why; both are kept in the Layout
   * @throws SagaException when the log has no Layout yet, or one of the definitions was allowed
   *     before and has been changed
   */
  public static void allow(
      LockstepConfig config, Collection<Saga<?>> sagas, String principal, String reason) {
    OperatorOrder order = OperatorOrders.of(principal, reason, Clock.systemUTC());
    Definitions definitions = new Definitions(sagas);
    SagaLog log = SagaLog.of(config);
    definitions.requireUnchanged(log);
    List<TopicSpec> commands =
        participants(sagas).stream().map(name -> commands(config, name, log.partitions())).toList();
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(new TopicPlan(List.of(), commands));
      topics.changeLayout(log.topic(), order, layout -> add(layout, commands, definitions));
    }
  }

  private static void add(
      Layout.Builder layout, List<TopicSpec> commands, Definitions definitions) {
    List<Destination> destinations = new ArrayList<>(layout.getDestinations());
    int maxBytes = destinations.get(0).getMaxBytes();
    for (TopicSpec topic : commands) {
      if (destinations.stream().noneMatch(known -> known.getTopic().equals(topic.name()))) {
        destinations.add(new Destination(topic.name(), topic.partitions(), maxBytes));
      }
    }
    Map<String, Long> limits = new HashMap<>(layout.getLimits());
    limits.putAll(definitions.fingerprints());
    layout.setDestinations(destinations).setLimits(limits);
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
