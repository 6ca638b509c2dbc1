package dev.lockstep.kernel;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.internal.streams.ControlTopic;
import dev.lockstep.kernel.internal.streams.EpochStart;
import dev.lockstep.kernel.internal.streams.Layouts;
import dev.lockstep.kernel.internal.streams.TopicCheck;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.OperatorOrder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.jspecify.annotations.Nullable;

/** Creates, checks and prints the topics of a {@link TopicPlan}. Thread-safe. */
public final class TopicAdmin implements AutoCloseable {

  private static final long TIMEOUT_SECONDS = 30;

  private final LockstepConfig config;
  private final Admin admin;

  /**
   * Connects.
   *
   * @param config how to reach Kafka
   */
  public TopicAdmin(LockstepConfig config) {
    this.config = config;
    this.admin = Admin.create(config.client());
  }

  /**
   * Creates what is missing, and writes the first Layout of each input topic. Doing it again
   * changes nothing; a run that was cut short is completed.
   *
   * @param plan all topics
   * @throws KernelException when a topic cannot be created, or an input topic already holds records
   *     but no Layout
   */
  public void create(TopicPlan plan) {
    Set<String> present = get(admin.listTopics().names(), "Topics could not be listed");
    if (present.contains(TopicPlan.controlTopic(config))) {
      // the note of what an epoch begins with must not be passed over
      try (ControlTopic control = new ControlTopic(config)) {
        plan.inputs().forEach(input -> control.requireNoneBegun(input.topic().name()));
      }
    }
    List<NewTopic> missing = new ArrayList<>();
    for (TopicSpec spec : plan.topics(config)) {
      if (!present.contains(spec.name())) {
        missing.add(
            new NewTopic(spec.name(), Optional.of(spec.partitions()), Optional.empty())
                .configs(spec.settings()));
      }
    }
    get(admin.createTopics(missing).all(), "Topics could not be created");
    try (ControlTopic control = new ControlTopic(config)) {
      Map<String, Layout> layouts = control.read();
      for (InputPlan input : plan.inputs()) {
        writeFirstLayout(control, input, layouts.get(input.topic().name()));
      }
    }
  }

  /**
   * Compares topics and brokers with a plan.
   *
   * @param plan all topics
   * @return all faults, each with its remedy; empty when all is well
   */
  public List<String> check(TopicPlan plan) {
    return new TopicCheck(admin).faults(plan.topics(config));
  }

  /**
   * Prints a plan; needs no broker.
   *
   * @param plan all topics
   * @param config prefix of the environment
   * @return one line per topic: name, partitions, role, settings
   */
  public static String describe(TopicPlan plan, LockstepConfig config) {
    StringBuilder text = new StringBuilder();
    for (TopicSpec spec : plan.topics(config)) {
      text.append(
          "%-40s partitions=%d role=%s %s%n"
              .formatted(
                  spec.name(), spec.partitions(), spec.role(), new TreeMap<>(spec.settings())));
    }
    return text.toString();
  }

  /**
   * Returns the Layouts in force.
   *
   * @return by input topic
   */
  public Map<String, Layout> layouts() {
    try (ControlTopic control = new ControlTopic(config)) {
      return control.read();
    }
  }

  /**
   * Changes the Layout of an input topic, from a place in each partition on. Every instance must
   * know the new logic version and schemas before.
   *
   * @param topic input topic
   * @param order who changes it, and why; kept in the Layout
   * @param change sets what is to differ on a builder that holds the Layout in force
   * @throws IllegalArgumentException when the change touches what only making the topic again
   *     changes: its name, id, epoch or partition count
   * @throws KernelException when the topic has no Layout yet, or a partition could not be written;
   *     doing it again is safe
   */
  public void changeLayout(String topic, OperatorOrder order, Consumer<Layout.Builder> change) {
    try (ControlTopic control = new ControlTopic(config)) {
      control.requireNoneBegun(topic);
      Layout current = control.read().get(topic);
      if (current == null) {
        throw new KernelException("Topic '" + topic + "' has no Layout yet: create it first");
      }
      Layout.Builder changed = Layouts.builder(current).setOrder(order);
      change.accept(changed);
      Layout layout = changed.build();
      if (!Layouts.identity(layout).equals(Layouts.identity(current))) {
        throw new IllegalArgumentException(
            "The Layout of '%s' cannot change from %s to %s: only a topic that is made again has another name, id, epoch or number of partitions"
                .formatted(topic, Layouts.identity(current), Layouts.identity(layout)));
      }
      control.announce(layout);
    }
  }

  /**
   * Makes an input topic again under a higher epoch, mostly to give it more partitions. What its
   * state must not lose goes over, limits and tick stay; other input topics whose effects go to it
   * get a Layout with its new number of partitions.
   *
   * <p>Stop its clients, then its hosts, in order; start both again afterwards. A command that is
   * written between the last look at the old log and its deletion is lost. A run that was cut short
   * is completed by the next, with what the first one found.
   *
   * @param machine what folds the topic
   * @param partitions of the topic from now on
   * @param along its destinations that get as many partitions
   * @param order who wants it, and why; kept in the Layout
   * @param carryOver decides what goes over
   * @throws KernelException when hosts run, records are not folded, something that must go over
   *     cannot, or brokers do not answer; the message says what to do
   */
  public void startEpoch(
      MachineSpec machine,
      int partitions,
      Set<String> along,
      OperatorOrder order,
      CarryOver carryOver) {
    try (ControlTopic control = new ControlTopic(config)) {
      new EpochStart(config, admin, control, machine).run(partitions, along, order, carryOver);
    }
  }

  @Override
  public void close() {
    // every call was waited for; what is left waits for brokers that do not answer
    admin.close(Duration.ofSeconds(1));
  }

  private void writeFirstLayout(ControlTopic control, InputPlan input, @Nullable Layout known) {
    String topic = input.topic().name();
    TopicDescription description =
        requireNonNull(
            get(admin.describeTopics(List.of(topic)).allTopicNames(), "'" + topic + "' is missing")
                .get(topic));
    String topicId = description.topicId().toString();
    if (known != null && known.getTopicId().equals(topicId)) {
      return;
    }
    control.writeFirst(first(input, topicId, known == null ? 1 : known.getTopicEpoch() + 1));
  }

  private static Layout first(InputPlan input, String topicId, int epoch) {
    List<Destination> destinations = new ArrayList<>();
    for (TopicSpec destination : input.destinations()) {
      destinations.add(
          new Destination(destination.name(), destination.partitions(), input.maxBytes()));
    }
    return new Layout(
        input.topic().name(),
        topicId,
        epoch,
        input.topic().partitions(),
        input.tickMillis(),
        input.logicVersion(),
        input.schemas(),
        destinations,
        new HashMap<>(input.limits()),
        null);
  }

  private <T> T get(KafkaFuture<T> future, String failure) {
    try {
      return future.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KernelException(failure + ": interrupted", e);
    } catch (ExecutionException e) {
      throw new KernelException(
          "%s (brokers at %s): %s".formatted(failure, config.bootstrapServers(), e.getCause()), e);
    } catch (TimeoutException e) {
      throw new KernelException(
          "%s: brokers at %s do not answer within %d s"
              .formatted(failure, config.bootstrapServers(), TIMEOUT_SECONDS),
          e);
    }
  }
}
