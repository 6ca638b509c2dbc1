package dev.lockstep.example.pipeline;

import static java.util.Objects.requireNonNull;

import dev.lockstep.example.pipeline.run.PipelineTopics;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import java.io.IOException;
import java.io.Reader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** Creates, checks or prints all topics of the pipeline in an environment of yours. */
@Command(
    name = "topics",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Prints, checks or creates the pipeline's topics on brokers of yours, or starts a new epoch of its locks.")
final class TopicsCommand implements Callable<Integer> {

  /** What to do. */
  enum Action {
    print,
    check,
    create,
    epoch
  }

  @Parameters(
      paramLabel = "print|check|create|epoch",
      description = "What to do: ${COMPLETION-CANDIDATES}.")
  private Action action = Action.print;

  @Option(
      names = "--bootstrap",
      paramLabel = "HOST:PORT",
      description = "Brokers, comma separated. Default: ${DEFAULT-VALUE}.")
  private String bootstrap = "localhost:9092";

  @Option(
      names = "--prefix",
      paramLabel = "P",
      description = "Put before every topic, such as 'prod.'. Default: none.")
  private String prefix = "";

  @Option(
      names = "--config",
      paramLabel = "FILE",
      description = "Properties for the Kafka client, such as security.protocol.")
  private @Nullable Path clientProperties;

  @ArgGroup(
      exclusive = false,
      heading = "With epoch, which makes the lock commands' topic again; holders are honoured:%n")
  private @Nullable Epoch epoch;

  /** What a new epoch of the lock commands needs. */
  static final class Epoch {

    @Option(
        names = "--lock-partitions",
        required = true,
        paramLabel = "N",
        description = "Partitions of lock commands and events from now on.")
    private int partitions;

    @Option(names = "--by", required = true, paramLabel = "WHO", description = "Who orders it.")
    private String by = "";

    @Option(names = "--reason", required = true, paramLabel = "WHY", description = "Why.")
    private String reason = "";
  }

  @Spec private @Nullable CommandSpec spec;

  @Override
  public Integer call() throws IOException {
    LockstepConfig config = new LockstepConfig(bootstrap, prefix, clientSettings());
    TopicPlan plan = PipelineTopics.plan(config);
    if (action == Action.epoch) {
      return startEpoch(config);
    }
    if (action == Action.print) {
      System.out.print(TopicAdmin.describe(plan, config));
      return 0;
    }
    try (TopicAdmin topics = new TopicAdmin(config)) {
      if (action == Action.create) {
        topics.create(plan);
      }
      List<String> faults = topics.check(plan);
      faults.forEach(fault -> System.out.println("FAULT " + fault));
      System.out.printf("%d topics, %d faults%n", plan.topics(config).size(), faults.size());
      return faults.isEmpty() ? 0 : 1;
    }
  }

  private int startEpoch(LockstepConfig config) {
    if (epoch == null) {
      throw new ParameterException(
          requireNonNull(spec).commandLine(),
          "'topics epoch' needs --lock-partitions, --by and --reason");
    }
    LockTopics.startEpoch(config, epoch.partitions, epoch.by, epoch.reason);
    System.out.printf(
        "%s made again with %d partitions; start the services%n",
        config.named(LockSchemas.COMMANDS), epoch.partitions);
    return 0;
  }

  private Map<String, String> clientSettings() throws IOException {
    Map<String, String> settings = new HashMap<>();
    // somebody waits at a terminal
    settings.put("default.api.timeout.ms", "10000");
    settings.put("request.timeout.ms", "5000");
    if (clientProperties != null) {
      if (!Files.isReadable(clientProperties)) {
        throw new IOException("--config " + clientProperties + " cannot be read");
      }
      Properties properties = new Properties();
      try (Reader reader = Files.newBufferedReader(clientProperties)) {
        properties.load(reader);
      }
      properties.stringPropertyNames().forEach(n -> settings.put(n, properties.getProperty(n)));
    }
    return settings;
  }
}
