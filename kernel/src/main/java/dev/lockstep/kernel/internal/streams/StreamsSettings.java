package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.schema.LockstepConfig;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.Stores;

/** Topology and settings of a host; each setting with its reason (decision 0003). */
public final class StreamsSettings {

  /** Between the name of a machine's hosts and a topic epoch above 1. */
  static final String EPOCH = "-epoch";

  private StreamsSettings() {}

  /** Returns the name of a machine's hosts as people know them, whatever the topic epoch. */
  public static String name(LockstepConfig config, MachineSpec machine) {
    return config.named("lockstep-" + machine.name());
  }

  /**
   * Returns the name of the group of a machine's hosts, and the begin of its topics' names. Each
   * topic epoch has one of its own: state of another log must never be folded on.
   */
  public static String applicationId(LockstepConfig config, MachineSpec machine, int topicEpoch) {
    String name = name(config, machine);
    return topicEpoch == 1 ? name : name + EPOCH + topicEpoch;
  }

  /** Returns the topic that holds the state that they committed. */
  public static String changelog(String applicationId) {
    return applicationId + "-" + MachineProcessor.STORE + "-changelog";
  }

  static Topology topology(MachineSpec machine, HostParts parts) {
    Topology topology = new Topology();
    topology.addSource(
        "log", new ByteArrayDeserializer(), new ByteArrayDeserializer(), machine.inputTopic());
    topology.addProcessor("fold", () -> new MachineProcessor(machine, parts), "log");
    topology.addStateStore(
        new SettledStore.Builder(
            Stores.keyValueStoreBuilder(
                    Stores.persistentKeyValueStore(MachineProcessor.STORE),
                    Serdes.Bytes(),
                    Serdes.ByteArray())
                // the fold itself keeps what changes between two commits
                .withCachingDisabled()
                .withLoggingEnabled(
                    Map.of(
                        // records would carry the time of the command: an hour of backlog is then
                        // compacted at once
                        "message.timestamp.type", "LogAppendTime",
                        "segment.bytes", Integer.toString(32 << 20),
                        "min.cleanable.dirty.ratio", "0.1",
                        "min.compaction.lag.ms", "60000",
                        // longer than any state is read on from (LocalState)
                        "delete.retention.ms",
                            Long.toString(LocalState.TOMBSTONES_KEPT.toMillis())))),
        "fold");
    return topology;
  }

  static Properties of(HostOptions options, String applicationId, Path stateDirectory) {
    HostOptions.Timeouts timeouts = options.timeouts();
    Properties settings = new Properties();
    settings.putAll(options.config().client());
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, applicationId);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(
        StreamsConfig.COMMIT_INTERVAL_MS_CONFIG,
        Long.toString(options.commitInterval().toMillis()));
    settings.put(StreamsConfig.POLL_MS_CONFIG, "5");
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, Integer.toString(options.threads()));
    settings.put(StreamsConfig.STATE_DIR_CONFIG, stateDirectory.toString());
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "-1");
    settings.put("group.protocol", "classic");
    settings.put(
        StreamsConfig.consumerPrefix("session.timeout.ms"),
        Long.toString(timeouts.session().toMillis()));
    settings.put(
        StreamsConfig.consumerPrefix("heartbeat.interval.ms"),
        Long.toString(Math.max(100, timeouts.session().toMillis() / 5)));
    settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
    settings.put(
        StreamsConfig.producerPrefix("transaction.timeout.ms"),
        Long.toString(timeouts.transaction().toMillis()));
    settings.put(
        StreamsConfig.producerPrefix("delivery.timeout.ms"),
        Long.toString(timeouts.delivery().toMillis()));
    settings.put(
        StreamsConfig.producerPrefix("request.timeout.ms"),
        Long.toString(timeouts.request().toMillis()));
    settings.put(
        StreamsConfig.producerPrefix("max.block.ms"),
        Long.toString(timeouts.delivery().toMillis()));
    settings.put(StreamsConfig.producerPrefix("retry.backoff.ms"), "2");
    // flush() at commit cuts the linger short; one request per broker and transaction is the aim
    settings.put(StreamsConfig.producerPrefix("batch.size"), Integer.toString(256 * 1024));
    settings.put("request.timeout.ms", Long.toString(timeouts.request().toMillis()));
    settings.put("task.timeout.ms", "300000");
    // each task has one input: there is nothing to wait for, and nothing to ask at each record
    settings.put(StreamsConfig.MAX_TASK_IDLE_MS_CONFIG, "-1");
    options
        .clientSettings()
        .forEach(
            (key, value) -> {
              if (!key.startsWith("express.")) {
                settings.put(key, value);
              }
            });
    return settings;
  }
}
