package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.CarryOver;
import dev.lockstep.kernel.CarryOver.Carried;
import dev.lockstep.kernel.Follower;
import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.CarriedMark;
import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.NextEpoch;
import dev.lockstep.schema.kernel.OperatorOrder;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.TopicDeletionDisabledException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes an input topic again under a higher epoch. What the new log begins with is noted in the
 * control topic before the old one is deleted: a run that is cut short behind that is completed by
 * the next.
 */
public final class EpochStart {

  private static final Logger LOG = LoggerFactory.getLogger(EpochStart.class);
  private static final long ANSWER_SECONDS = 30;
  private static final Duration CATCH_UP = Duration.ofMinutes(5);
  private static final int ATTEMPTS = 10;

  private final LockstepConfig config;
  private final Admin admin;
  private final ControlTopic control;
  private final MachineSpec machine;
  private final String topic;

  /** From here on the note is all that is left of the old log, whatever brokers still show. */
  private boolean deleting;

  public EpochStart(LockstepConfig config, Admin admin, ControlTopic control, MachineSpec machine) {
    this.config = config;
    this.admin = admin;
    this.control = control;
    this.machine = machine;
    this.topic = machine.inputTopic();
  }

  /**
   * Starts the epoch that follows.
   *
   * @param along destinations that get as many partitions as the topic
   */
  public void run(int partitions, Set<String> along, OperatorOrder order, CarryOver carryOver) {
    if (partitions < 1) {
      throw new IllegalArgumentException(
          "'%s' needs at least 1 partition, not %d".formatted(topic, partitions));
    }
    Layout current = control.read().get(topic);
    if (current == null) {
      throw new KernelException("Topic '" + topic + "' has no Layout yet: create it first");
    }
    NextEpoch next = control.noted(topic);
    if (next != null && next.getLayout().getTopicEpoch() == current.getTopicEpoch()) {
      // the run before did everything but the rest
      finish(next, current);
      return;
    }
    if (next != null && isThere(next.getLayout().getTopicId())) {
      // it deleted nothing, and the log went on since
      control.forget(topic, next.getRecords());
      next = null;
    }
    if (next == null) {
      next = prepare(current, partitions, along, order, carryOver);
    } else if (next.getLayout().getPartitions() != partitions) {
      throw new KernelException(
          "Epoch %d of '%s' was begun with %d partitions, and the old log is gone: do it again with as many, then start another epoch"
              .formatted(
                  next.getLayout().getTopicEpoch(), topic, next.getLayout().getPartitions()));
    }
    List<CarriedRecord> carried = control.carried(next);
    Layout begun;
    try {
      extend(next.getLayout().getDestinations());
      begun = begin(next.getLayout(), carried);
    } catch (RuntimeException e) {
      forgetIfNothingHappened(next, e);
      throw e;
    }
    control.putInForce(begun);
    LOG.info(
        "{}: epoch {} begins with {} partitions and {} carried records",
        topic,
        begun.getTopicEpoch(),
        begun.getPartitions(),
        carried.size());
    finish(next, begun);
  }

  /** Hosts do not start beside a note: where topics may not be deleted, it must not stay. */
  private void forgetIfNothingHappened(NextEpoch noted, RuntimeException failure) {
    try {
      if (!deleting && isThere(noted.getLayout().getTopicId())) {
        control.forget(topic, noted.getRecords());
      }
    } catch (RuntimeException e) {
      failure.addSuppressed(e);
    }
  }

  /** What is left when the epoch is in force; the note goes last. */
  private void finish(NextEpoch noted, Layout begun) {
    tellOthers(begun);
    forget(begun.getTopicEpoch() - 1);
    control.forget(topic, noted.getRecords());
  }

  private boolean isThere(String topicId) {
    try {
      return requireNonNull(
              admin
                  .describeTopics(List.of(topic))
                  .allTopicNames()
                  .get(ANSWER_SECONDS, TimeUnit.SECONDS)
                  .get(topic))
          .topicId()
          .toString()
          .equals(topicId);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof UnknownTopicOrPartitionException) {
        return false;
      }
      throw failed("its topic could not be described", e);
    } catch (InterruptedException | TimeoutException e) {
      throw failed("its topic could not be described", e);
    }
  }

  private NextEpoch prepare(
      Layout current, int partitions, Set<String> along, OperatorOrder order, CarryOver carryOver) {
    String application = StreamsSettings.applicationId(config, machine, current.getTopicEpoch());
    requireStopped(application);
    Carried carried = carry(current, partitions, carryOver);
    requireStopped(application);
    Map<String, Long> limits = new HashMap<>(current.getLimits());
    limits.putAll(carried.limits());
    List<Destination> destinations = current.getDestinations();
    for (String name : along) {
      destinations = Layouts.with(destinations, name, partitions);
    }
    // every host is new behind this, so it may be of this release
    InputPlan release = InputPlan.of(machine, partitions, List.of());
    NextEpoch next =
        new NextEpoch(
            Layouts.builder(current)
                .setTopicEpoch(current.getTopicEpoch() + 1)
                .setPartitions(partitions)
                .setLogicVersion(release.logicVersion())
                .setSchemas(release.schemas())
                .setDestinations(destinations)
                .setLimits(limits)
                .setOrder(order)
                .build(),
            carried.records().size());
    control.note(next, carried.records());
    return next;
  }

  private void requireStopped(String application) {
    try {
      List<String> members =
          requireNonNull(
                  admin
                      .describeConsumerGroups(List.of(application))
                      .describedGroups()
                      .get(application))
              .get(ANSWER_SECONDS, TimeUnit.SECONDS)
              .members()
              .stream()
              .map(member -> member.clientId() + " at " + member.host())
              .toList();
      if (!members.isEmpty()) {
        throw new KernelException(
            "No new epoch of '%s' while its hosts run: stop them in order first; members %s"
                .formatted(topic, members));
      }
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof GroupIdNotFoundException)) {
        throw failed("its hosts could not be listed", e);
      }
    } catch (InterruptedException | TimeoutException e) {
      throw failed("its hosts could not be listed", e);
    }
  }

  /**
   * Folds the old log from what the hosts have committed. An effect that comes on the way may never
   * have been announced, and whoever waits for it would wait for ever.
   */
  private Carried carry(Layout current, int partitions, CarryOver carryOver) {
    Queue<String> unannounced = new ConcurrentLinkedQueue<>();
    Follower.Listener listener =
        (partition, effect) -> {
          if (!carryOver.mayBeMissed(effect)) {
            unannounced.add(
                "to %s/%d from partition %d"
                    .formatted(effect.topic(), effect.partition(), partition));
          }
        };
    try (Follower state = Follower.start(machine, config, listener)) {
      state.followAll();
      awaitCurrent(state);
      Carried carried = carryOver.of(current, partitions, state);
      // what came meanwhile would be lost, if it is more than beats and ticks
      awaitCurrent(state);
      if (!unannounced.isEmpty()) {
        throw new KernelException(
            "No new epoch of '%s': %d effects may not have been announced, such as one %s; stop its clients, run a host until it has caught up, and stop it in order"
                .formatted(topic, unannounced.size(), unannounced.peek()));
      }
      List<CarriedRecord> records = marks(state, Math.min(partitions, current.getPartitions()));
      records.addAll(carried.records());
      return new Carried(records, carried.limits());
    } catch (InterruptedException e) {
      throw failed("its log could not be folded", e);
    }
  }

  /** A machine that announces once more, behind a crash, must not be believed once more. */
  private static List<CarriedRecord> marks(Follower state, int partitions) {
    SingleObjectCodec codec = new SingleObjectCodec(KernelSchemas.CATALOG);
    List<CarriedRecord> records = new ArrayList<>();
    for (int i = 0; i < partitions; i++) {
      for (CarriedMark mark : state.marks(i)) {
        records.add(new CarriedRecord(i, mark.getTopic(), ByteBuffer.wrap(codec.encode(mark))));
      }
    }
    return records;
  }

  private void awaitCurrent(Follower state) throws InterruptedException {
    if (!state.awaitCurrent(CATCH_UP)) {
      throw new KernelException(
          "No new epoch of '%s': its log could not be folded within %s: %s"
              .formatted(topic, CATCH_UP, state.progress()));
    }
  }

  private void extend(List<Destination> destinations) {
    for (Destination each : destinations) {
      String name = each.getTopic();
      if (name.equals(topic)) {
        continue;
      }
      Map<String, TopicDescription> described =
          get(
              admin.describeTopics(List.of(name)).allTopicNames(),
              "topic '" + name + "' could not be described");
      int partitions = requireNonNull(described.get(name)).partitions().size();
      if (partitions < each.getPartitions()) {
        var unused =
            get(
                admin
                    .createPartitions(Map.of(name, NewPartitions.increaseTo(each.getPartitions())))
                    .all(),
                "topic '" + name + "' could not be given more partitions");
      }
    }
  }

  /** Until the Layout and what follows it stand at the begin of every partition. */
  private Layout begin(Layout noted, List<CarriedRecord> carried) {
    for (int i = 0; i < ATTEMPTS; i++) {
      Layout layout = Layouts.builder(noted).setTopicId(makeAgain(noted).toString()).build();
      if (control.begin(layout, carried)) {
        return layout;
      }
      LOG.warn(
          "{}: somebody wrote to it before its Layout, or it could not be written; it is made once more",
          topic);
    }
    throw new KernelException(
        "Epoch %d of '%s' is not started: in %d attempts its Layout did not come first; stop its clients and do it again"
            .formatted(noted.getTopicEpoch(), topic, ATTEMPTS));
  }

  private Uuid makeAgain(Layout layout) {
    deleting = true;
    try {
      delete(topic);
    } catch (KernelException e) {
      // refused, and not merely unanswered
      Throwable cause = e.getCause() == null ? null : e.getCause().getCause();
      deleting =
          !(cause instanceof AuthorizationException
              || cause instanceof TopicDeletionDisabledException);
      throw e;
    }
    TopicSpec spec = TopicSpec.input(topic, layout.getPartitions());
    NewTopic made =
        new NewTopic(topic, Optional.of(spec.partitions()), Optional.<Short>empty())
            .configs(spec.settings());
    long giveUp = System.nanoTime() + TimeUnit.SECONDS.toNanos(ANSWER_SECONDS);
    while (true) {
      CreateTopicsResult created = admin.createTopics(List.of(made));
      try {
        Uuid id = created.topicId(topic).get(ANSWER_SECONDS, TimeUnit.SECONDS);
        awaitSeen(id, giveUp);
        return id;
      } catch (ExecutionException e) {
        // the old one is still being deleted
        if (!(e.getCause() instanceof TopicExistsException) || System.nanoTime() > giveUp) {
          throw failed("its topic could not be created", e);
        }
        pause();
      } catch (InterruptedException | TimeoutException e) {
        throw failed("its topic could not be created", e);
      }
    }
  }

  /** Brokers show a topic, and leaders of its partitions, a little later than it exists. */
  private void awaitSeen(Uuid id, long giveUp) {
    while (true) {
      try {
        TopicDescription seen =
            requireNonNull(
                admin
                    .describeTopics(List.of(topic))
                    .allTopicNames()
                    .get(ANSWER_SECONDS, TimeUnit.SECONDS)
                    .get(topic));
        if (seen.topicId().equals(id)
            && seen.partitions().stream().allMatch(partition -> partition.leader() != null)) {
          return;
        }
      } catch (ExecutionException e) {
        if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
          throw failed("its topic could not be described", e);
        }
      } catch (InterruptedException | TimeoutException e) {
        throw failed("its topic could not be described", e);
      }
      if (System.nanoTime() > giveUp) {
        throw new KernelException(
            "No new epoch of '%s': the new topic has no leaders after %d s; do it again"
                .formatted(topic, ANSWER_SECONDS));
      }
      pause();
    }
  }

  private void delete(String name) {
    try {
      admin.deleteTopics(List.of(name)).all().get(ANSWER_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof UnknownTopicOrPartitionException)) {
        throw failed("topic '" + name + "' could not be deleted", e);
      }
    } catch (InterruptedException | TimeoutException e) {
      throw failed("topic '" + name + "' could not be deleted", e);
    }
  }

  /** Whoever announces into the topic hashes its keys by the number of partitions in its Layout. */
  private void tellOthers(Layout begun) {
    for (Layout other : control.read().values()) {
      boolean differs =
          other.getDestinations().stream()
              .anyMatch(
                  each ->
                      each.getTopic().equals(topic)
                          && each.getPartitions() != begun.getPartitions());
      if (differs) {
        control.announce(
            Layouts.builder(other)
                .setDestinations(
                    Layouts.with(other.getDestinations(), topic, begun.getPartitions()))
                .setOrder(begun.getOrder())
                .build());
      }
    }
  }

  /** State and group of the old log are of no use to anybody. */
  private void forget(int epoch) {
    String application = StreamsSettings.applicationId(config, machine, epoch);
    try {
      delete(StreamsSettings.changelog(application));
      admin.deleteConsumerGroups(List.of(application)).all().get(ANSWER_SECONDS, TimeUnit.SECONDS);
    } catch (ExecutionException | TimeoutException | KernelException e) {
      // no host ever ran in that epoch: there is no group
      if (!(e.getCause() instanceof GroupIdNotFoundException)) {
        LOG.warn("{}: state and group of the last epoch are left over", application, e);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private <T> T get(KafkaFuture<T> future, String failure) {
    try {
      return future.get(ANSWER_SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException | ExecutionException | TimeoutException e) {
      throw failed(failure, e);
    }
  }

  private KernelException failed(String failure, Exception e) {
    if (e instanceof InterruptedException) {
      Thread.currentThread().interrupt();
    }
    Throwable cause = e instanceof ExecutionException ? e.getCause() : e;
    return new KernelException(
        "No new epoch of '%s': %s (%s); do it again".formatted(topic, failure, cause), e);
  }

  private void pause() {
    try {
      TimeUnit.MILLISECONDS.sleep(100);
    } catch (InterruptedException e) {
      throw failed("interrupted", e);
    }
  }
}
