package dev.lockstep.kernel.internal.follow;

import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.StartRefusedException;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.kernel.internal.streams.ControlTopic;
import dev.lockstep.kernel.internal.streams.ExpressLane;
import dev.lockstep.kernel.internal.streams.HostMeter;
import dev.lockstep.kernel.internal.streams.StreamsSettings;
import dev.lockstep.kernel.internal.streams.Ticker;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Tick;
import java.time.Duration;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

/** Checks and starts followers. */
public final class Followers {

  private Followers() {}

  /** Starts a silent one, which follows nothing yet. */
  public static LogFollower silent(
      MachineSpec machine, LockstepConfig config, Follower.Listener listener) {
    LogFollower follower =
        new LogFollower(machine, config, requireFit(machine, config), new ListenerSink(listener));
    follower.start();
    return follower;
  }

  /** Starts one that announces, on all partitions. */
  public static LogFollower announcing(
      MachineSpec machine, HostOptions options, Consumer<String> onFailure) {
    LockstepConfig config = options.config();
    Layout layout = requireFit(machine, config);
    String application = StreamsSettings.applicationId(config, machine, layout.getTopicEpoch());
    // '~' sorts behind every name of an owner
    String name = "~" + application + "-twin-" + UUID.randomUUID();
    byte[] tick = new SingleObjectCodec(KernelSchemas.CATALOG).encode(new Tick(name));
    Ticker ticker =
        new Ticker(
            application + "-twin",
            config.client(),
            tick,
            Duration.ofMillis(layout.getTickMillis()));
    AtomicInteger lanes = new AtomicInteger();
    TwinSink sink =
        new TwinSink(
            name,
            () ->
                ExpressLane.open(
                    options,
                    application + "-twin-express-" + lanes.incrementAndGet(),
                    onFailure,
                    new HostMeter()),
            ticker,
            layout.getTickMillis());
    LogFollower follower = new LogFollower(machine, config, layout, sink);
    follower.followAll();
    follower.start();
    return follower;
  }

  /** Rule 8: who lacks the logic version must not fold, and must not announce by no means. */
  private static Layout requireFit(MachineSpec machine, LockstepConfig config) {
    String who = "Follower of '" + machine.inputTopic() + "'";
    Layout layout;
    try (ControlTopic control = new ControlTopic(config)) {
      layout = control.read().get(machine.inputTopic());
    } catch (RuntimeException e) {
      throw new StartRefusedException(
          who,
          List.of(
              "control topic '%s' could not be read (%s): create the topics first"
                  .formatted(TopicPlan.controlTopic(config), e.getMessage())));
    }
    if (layout == null) {
      throw new StartRefusedException(
          who, List.of("the topic has no Layout: create it with TopicAdmin.create"));
    }
    if (!machine.logicVersions().contains(layout.getLogicVersion())) {
      throw new StartRefusedException(
          who,
          List.of(
              "the Layout asks for logic version %d, this program has %s: run the release that has it"
                  .formatted(layout.getLogicVersion(), machine.logicVersions())));
    }
    return layout;
  }
}
