package dev.lockstep.lock;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.lock.internal.engine.LockMachine;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import java.util.ArrayList;
import java.util.List;

/** Topics of the lock service. */
public final class LockTopics {

  private LockTopics() {}

  /**
   * Plans the lock topics: commands, events, replies, rejected commands.
   *
   * @param config prefix of the environment
   * @param partitions of commands and events; keys are spread over them. Cannot be changed without
   *     a new topic epoch
   * @param replyTopics further topics that answers may go to, such as the saga log
   * @return plan
   */
  public static InputPlan plan(LockstepConfig config, int partitions, List<TopicSpec> replyTopics) {
    List<TopicSpec> destinations = new ArrayList<>();
    destinations.add(TopicSpec.effects(config.named(LockSchemas.EVENTS), partitions));
    destinations.add(TopicSpec.effects(config.named(LockSchemas.REPLIES), 8));
    // requests for keys of several partitions travel from one to the next
    destinations.add(TopicSpec.input(config.named(LockSchemas.COMMANDS), partitions));
    destinations.addAll(replyTopics);
    return InputPlan.of(machine(config), partitions, destinations);
  }

  /**
   * Describes the lock machine: for replays and audits.
   *
   * @param config prefix of the environment
   * @return description
   */
  public static MachineSpec machine(LockstepConfig config) {
    return MachineSpec.of(
            "lock", config.named(LockSchemas.COMMANDS), LockMachine.CATALOG, LockMachine::new)
        .keepingInMemory(LockMachine.ROWS);
  }
}
