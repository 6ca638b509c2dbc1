package dev.lockstep.kernel.internal.streams;

import static java.util.Objects.requireNonNull;

import dev.lockstep.kernel.HostHealth;
import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.HostStats;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.kernel.StartRefusedException;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.kernel.Tick;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.errors.ProcessorStateException;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The life of one host: checks, Kafka Streams, ticker, watch, reaper, restarts. */
public final class StreamsHost implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(StreamsHost.class);
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(10);
  private static final Duration WATCH_PERIOD = Duration.ofMillis(500);
  private static final long FIRST_RESTART_MS = 200;
  private static final long LAST_RESTART_MS = 10_000;

  private final MachineSpec machine;
  private final HostOptions options;
  private final String name;
  private final StoppedPartitions stopped = new StoppedPartitions();
  private final Alarms alarms;
  private final Backoff backoff;
  private final Admin admin;
  private final ScheduledExecutorService chores;
  private final AtomicBoolean closed = new AtomicBoolean();
  private final AtomicBoolean restarting = new AtomicBoolean();
  private volatile @Nullable String applicationId; // once the topic epoch is known
  private volatile @Nullable KafkaStreams streams;
  private volatile @Nullable HostParts parts;
  private final HostMeter meter = new HostMeter();
  private volatile @Nullable Throwable fatal;
  private int restarts; // chores thread only

  public StreamsHost(MachineSpec machine, HostOptions options) {
    this.machine = machine;
    this.options = options;
    this.name = StreamsSettings.name(options.config(), machine);
    this.alarms = new Alarms(name);
    this.backoff = new Backoff(alarms);
    this.admin = Admin.create(options.config().client());
    this.chores =
        Executors.newSingleThreadScheduledExecutor(
            task -> {
              Thread thread = new Thread(task, name + "-chores");
              thread.setDaemon(true);
              return thread;
            });
  }

  /** Checks everything, then starts; see {@link dev.lockstep.kernel.Host#start}. */
  public void start() {
    try {
      Layout layout = requireFit();
      String application =
          StreamsSettings.applicationId(options.config(), machine, layout.getTopicEpoch());
      applicationId = application;
      LogReader log = new LogReader(admin, options.config(), Duration.ofSeconds(3));
      LogGuard guard = new LogGuard(log, stopped, alarms);
      Ticker ticker = ticker(layout);
      LocalState local = new LocalState(options.stateDirectory(), application);
      parts =
          new HostParts(
              stopped,
              alarms,
              guard,
              ticker,
              local,
              meter,
              options.unwrittenRows(),
              options.twice());
      ignoreExtraPartitions(layout);
      local.clean();
      launch();
      ticker.start();
      startChores(application, layout, guard);
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  public HostStats stats() {
    return meter.read();
  }

  public HostHealth health() {
    Throwable end = fatal;
    if (end != null) {
      alarms.raise("fatal", name + " ended: " + end);
    }
    return new HostHealth(state(), stopped.reasons(), alarms.standing());
  }

  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    chores.shutdownNow();
    HostParts used = parts;
    try {
      if (used != null) {
        used.ticker().close();
      }
    } finally {
      // on an interrupted thread each of them may throw; partitions must not stay here without
      // ticks
      try {
        closeStreams();
      } finally {
        admin.close(Duration.ofSeconds(2));
      }
    }
  }

  private HostHealth.State state() {
    KafkaStreams current = streams;
    if (fatal != null) {
      return HostHealth.State.FAILED;
    }
    if (closed.get()) {
      return HostHealth.State.STOPPED;
    }
    if (restarting.get()) {
      return HostHealth.State.RESTARTING;
    }
    if (current == null || current.state() == KafkaStreams.State.CREATED) {
      return HostHealth.State.STARTING;
    }
    if (current.state() == KafkaStreams.State.REBALANCING) {
      return HostHealth.State.REBALANCING;
    }
    if (!current.state().isRunningOrRebalancing()) {
      return HostHealth.State.RESTARTING;
    }
    boolean well = stopped.reasons().isEmpty() && alarms.standing().isEmpty();
    return well ? HostHealth.State.RUNNING : HostHealth.State.DEGRADED;
  }

  /** Rules 7 and 8: before the group is joined. */
  private Layout requireFit() {
    List<String> faults = new ArrayList<>();
    Layout layout = null;
    try (ControlTopic control = new ControlTopic(options.config())) {
      layout = control.read().get(machine.inputTopic());
      String begun = control.begun(machine.inputTopic());
      if (begun != null) {
        faults.add(begun);
      }
    } catch (RuntimeException e) {
      faults.add(
          "control topic '%s' could not be read (%s): create the topics first"
              .formatted(TopicPlan.controlTopic(options.config()), e.getMessage()));
    }
    List<TopicSpec> topics = new ArrayList<>();
    if (layout == null) {
      faults.add(
          "topic '%s' has no Layout: create it with TopicAdmin.create"
              .formatted(machine.inputTopic()));
    } else {
      compareRelease(layout, faults);
      topics.add(TopicSpec.input(machine.inputTopic(), layout.getPartitions()));
      for (Destination destination : layout.getDestinations()) {
        // an input topic of another machine is checked by that machine's host
        topics.add(
            new TopicSpec(
                destination.getTopic(),
                destination.getPartitions(),
                TopicSpec.Role.EFFECTS,
                Map.of("unclean.leader.election.enable", "false")));
      }
    }
    faults.addAll(new TopicCheck(admin).faults(topics));
    if (!faults.isEmpty() || layout == null) {
      throw new StartRefusedException(name, faults);
    }
    return layout;
  }

  private void compareRelease(Layout layout, List<String> faults) {
    if (!machine.logicVersions().contains(layout.getLogicVersion())) {
      faults.add(
          "the Layout of '%s' asks for logic version %d, this program has %s: run the release that has it"
              .formatted(machine.inputTopic(), layout.getLogicVersion(), machine.logicVersions()));
    }
    TreeSet<Long> missing = new TreeSet<>(layout.getSchemas());
    missing.removeAll(machine.catalog().fingerprints());
    missing.removeAll(KernelSchemas.CATALOG.fingerprints());
    if (!missing.isEmpty()) {
      faults.add(
          "the Layout of '%s' allows schemas that this program lacks: %s; run the release that has them"
              .formatted(machine.inputTopic(), missing.stream().map("%016x"::formatted).toList()));
    }
  }

  private Ticker ticker(Layout layout) {
    byte[] tick = new SingleObjectCodec(KernelSchemas.CATALOG).encode(new Tick(name));
    return new Ticker(
        name, options.config().client(), tick, Duration.ofMillis(layout.getTickMillis()));
  }

  private void ignoreExtraPartitions(Layout layout) {
    try {
      int actual =
          requireNonNull(
                  admin
                      .describeTopics(List.of(machine.inputTopic()))
                      .allTopicNames()
                      .get(5, TimeUnit.SECONDS)
                      .get(machine.inputTopic()))
              .partitions()
              .size();
      for (int i = layout.getPartitions(); i < actual; i++) {
        LOG.warn(
            "{}-{} is ignored: the Layout has {} partitions",
            machine.inputTopic(),
            i,
            layout.getPartitions());
        stopped.stop(
            new TopicPartition(machine.inputTopic(), i), "not in the Layout: nobody writes to it");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new KernelException("Interrupted while starting " + name, e);
    } catch (ExecutionException | TimeoutException e) {
      throw new KernelException("Topic '" + machine.inputTopic() + "' cannot be described", e);
    }
  }

  private void launch() {
    HostParts shared = requireNonNull(parts);
    Properties settings =
        StreamsSettings.of(options, requireNonNull(applicationId), shared.local().directory());
    KafkaStreams created =
        new KafkaStreams(
            StreamsSettings.topology(machine, shared),
            settings,
            new HostClients(options, stopped, backoff, meter));
    created.setUncaughtExceptionHandler(this::onUncaught);
    try {
      created.start();
    } catch (RuntimeException e) {
      created.close(CLOSE_TIMEOUT);
      throw e;
    }
    streams = created;
    if (closed.get()) {
      // close() may have looked before there was anything to close
      closeStreams();
    }
  }

  private StreamThreadExceptionResponse onUncaught(Throwable thrown) {
    if (hasError(thrown)) {
      fatal = thrown;
      LOG.error("{} ends: {}", name, thrown.toString(), thrown);
    } else {
      LOG.warn("{} starts again after {}", name, thrown.toString(), thrown);
      restarting.set(true);
    }
    // REPLACE_THREAD would stay in the group and wait out a session (decision 0003)
    return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
  }

  private static boolean hasError(Throwable thrown) {
    for (Throwable cause = thrown; cause != null; cause = cause.getCause()) {
      if (cause instanceof Error) {
        return true;
      }
    }
    return false;
  }

  private void startChores(String application, Layout layout, LogGuard guard) {
    LogWatch watch =
        new LogWatch(
            admin,
            machine.inputTopic(),
            layout.getTopicId(),
            layout.getPartitions(),
            alarms,
            guard);
    Reaper reaper = new Reaper(admin, application, options.timeouts().session());
    HangingTransactions hanging =
        new HangingTransactions(admin, application, layout.getPartitions(), alarms);
    schedule(watch::look, WATCH_PERIOD);
    schedule(this::restartIfNeeded, Duration.ofMillis(100));
    schedule(backoff::forget, Duration.ofSeconds(1));
    schedule(
        () -> {
          KafkaStreams current = streams;
          boolean running = current != null && current.state() == KafkaStreams.State.RUNNING;
          if (!running) {
            reaper.reap();
          }
          if (!running || hanging.hasAlarms()) {
            hanging.look();
          }
        },
        Duration.ofMillis(500));
  }

  private void schedule(Runnable chore, Duration period) {
    var unused =
        chores.scheduleWithFixedDelay(
            () -> {
              try {
                chore.run();
              } catch (Throwable e) {
                // the scheduler would drop it
                LOG.warn("{}: a chore failed and goes on", name, e);
              }
            },
            period.toMillis(),
            period.toMillis(),
            TimeUnit.MILLISECONDS);
  }

  private void restartIfNeeded() {
    KafkaStreams current = streams;
    if (closed.get() || fatal != null || current == null) {
      return;
    }
    if (current.state() == KafkaStreams.State.RUNNING) {
      restarts = 0;
    }
    if (current.state() != KafkaStreams.State.ERROR
        && current.state() != KafkaStreams.State.NOT_RUNNING) {
      return;
    }
    restarting.set(true);
    closeStreams();
    sleep(Math.min(LAST_RESTART_MS, FIRST_RESTART_MS << Math.min(restarts++, 10)));
    if (closed.get()) {
      return;
    }
    try {
      launch();
      restarting.set(false);
    } catch (ProcessorStateException e) {
      LocalState local = requireNonNull(parts).local();
      local.startAfresh();
      LOG.warn(
          "{}: local state cannot be opened ({}); it is restored into {}",
          name,
          e.getMessage(),
          local.directory());
    } catch (RuntimeException e) {
      LOG.warn("{}: a new start failed and is tried again", name, e);
    }
  }

  private void closeStreams() {
    KafkaStreams current = streams;
    if (current != null) {
      // staying in the group would look like a crash to the others
      current.close(
          CloseOptions.timeout(CLOSE_TIMEOUT)
              .withGroupMembershipOperation(CloseOptions.GroupMembershipOperation.LEAVE_GROUP));
    }
  }

  private static void sleep(long millis) {
    try {
      TimeUnit.MILLISECONDS.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
