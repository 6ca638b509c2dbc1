package dev.lockstep.lock;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.lock.internal.EpochCarry;
import dev.lockstep.lock.internal.engine.LockMachine;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.OperatorOrder;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

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
   * Makes the command topic again under a higher epoch, mostly to give it more partitions. Stop the
   * clients, inspectors and detectors, the services whose sagas use locks, then every lock service
   * and twin, in order; run it; start them again. Whoever holds a lock is honoured:
   *
   * <ul>
   *   <li>with as many partitions as before, sessions, leases under their tokens and waiting
   *       requests go on, of clients that kept running too;
   *   <li>with another number nobody is granted anything until every session has had its time to
   *       live; leases of sagas, which have none, must have ended before.
   * </ul>
   *
   * <p>Pending revocations are forgotten: order them again. When a key is kept free after its
   * holder's end, all are kept free for as long as the Layout's {@code lock.delay.max.ms}. Facts
   * about a key that moves stand in another partition of the event topic from now on.
   *
   * @param config prefix of the environment
   * @param partitions of commands and events from now on; not fewer than the events have
   * @param principal who orders it
   * @param reason why; both are kept in the Layout
   * @throws dev.lockstep.kernel.KernelException when a service runs, commands are not folded, sagas
   *     hold locks that cannot go over, or brokers do not answer; the message says what to do. A
   *     run that was cut short is completed by the next
   */
  public static void startEpoch(
      LockstepConfig config, int partitions, String principal, String reason) {
    MachineSpec machine = machine(config);
    Set<String> along =
        Set.of(machine.inputTopic(), machine.rejectedTopic(), config.named(LockSchemas.EVENTS));
    OperatorOrder order = OperatorOrders.of(principal, reason, Clock.systemUTC());
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.startEpoch(machine, partitions, along, order, new EpochCarry());
    }
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
