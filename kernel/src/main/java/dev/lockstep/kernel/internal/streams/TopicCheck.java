package dev.lockstep.kernel.internal.streams;

import dev.lockstep.schema.TopicSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.FeatureMetadata;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.config.ConfigResource;

/** Compares topics and brokers with what the promises need (rules 2, 4 and 7). */
public final class TopicCheck {

  private static final long TIMEOUT_SECONDS = 15;

  private final Admin admin;

  public TopicCheck(Admin admin) {
    this.admin = admin;
  }

  /** Returns all faults, each with its remedy. */
  public List<String> faults(List<TopicSpec> wanted) {
    List<String> faults = new ArrayList<>();
    try {
      Set<String> present = admin.listTopics().names().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
      List<TopicSpec> there = new ArrayList<>();
      for (TopicSpec spec : wanted) {
        if (present.contains(spec.name())) {
          there.add(spec);
        } else {
          faults.add(
              "topic '%s' does not exist: create it with TopicAdmin.create".formatted(spec.name()));
        }
      }
      compare(there, faults);
      checkTransactions(faults);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      faults.add("interrupted while reading topics");
    } catch (TimeoutException e) {
      faults.add("the brokers do not answer within " + TIMEOUT_SECONDS + " s");
    } catch (ExecutionException e) {
      faults.add("topics could not be read from the brokers: " + e.getCause());
    }
    return faults;
  }

  private void compare(List<TopicSpec> there, List<String> faults)
      throws InterruptedException, ExecutionException, TimeoutException {
    List<String> names = there.stream().map(TopicSpec::name).toList();
    Map<String, TopicDescription> described =
        admin.describeTopics(names).allTopicNames().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    Map<ConfigResource, Config> configs =
        admin
            .describeConfigs(
                names.stream()
                    .map(name -> new ConfigResource(ConfigResource.Type.TOPIC, name))
                    .collect(Collectors.toList()))
            .all()
            .get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    for (TopicSpec spec : there) {
      TopicDescription description = described.get(spec.name());
      Config config = configs.get(new ConfigResource(ConfigResource.Type.TOPIC, spec.name()));
      if (description == null || config == null) {
        faults.add("topic '%s' could not be described".formatted(spec.name()));
        continue;
      }
      if (description.partitions().size() < spec.partitions()) {
        faults.add(
            "topic '%s' has %d partitions, needs %d: add partitions, or change the plan"
                .formatted(spec.name(), description.partitions().size(), spec.partitions()));
      }
      compareSettings(spec, description, config, faults);
    }
  }

  private static void compareSettings(
      TopicSpec spec, TopicDescription description, Config config, List<String> faults) {
    for (String setting :
        List.of("message.timestamp.type", "unclean.leader.election.enable", "cleanup.policy")) {
      String required = spec.settings().get(setting);
      String observed = config.get(setting).value();
      if (required != null && !required.equals(observed)) {
        faults.add(
            "topic '%s' has %s=%s, needs %s: set it with kafka-configs --alter"
                .formatted(spec.name(), setting, observed, required));
      }
    }
    int replicas = description.partitions().get(0).replicas().size();
    int minimum = Integer.parseInt(config.get("min.insync.replicas").value());
    if (replicas >= 3 && minimum < 2) {
      faults.add(
          "topic '%s' has %d replicas and min.insync.replicas=%d, needs 2: one broker alone could lose what it acknowledged; set it with kafka-configs --alter"
              .formatted(spec.name(), replicas, minimum));
    }
  }

  private void checkTransactions(List<String> faults)
      throws InterruptedException, ExecutionException, TimeoutException {
    FeatureMetadata features =
        admin.describeFeatures().featureMetadata().get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    FinalizedVersionRange version = features.finalizedFeatures().get("transaction.version");
    if (version == null || version.maxVersionLevel() < 2) {
      faults.add(
          "brokers have transaction.version=%s, need 2 (KIP-890): upgrade it with kafka-features"
              .formatted(version == null ? "none" : version.maxVersionLevel()));
    }
  }
}
