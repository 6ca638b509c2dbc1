package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StreamsFenceIT {

  private static final Duration SOON = Duration.ofSeconds(30);

  @TempDir Path directory;

  private final FencedStream stream = new FencedStream();

  @Test
  void staleTokensAreRefusedAlsoBehindARestart() throws Exception {
    try (KafkaCluster cluster =
        KafkaCluster.start(directory.resolve("kafka"), 1, BrokerProfile.TUNED)) {
      LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
      try (Admin admin = Admin.create(config.client())) {
        KafkaCluster.createTopics(admin, new NewTopic("writes", Optional.of(2), Optional.empty()));
      }
      Path state = directory.resolve("state");
      try (KafkaStreams streams = stream.start(config, "writes", state)) {
        write(config, "first", "stock=5");
        write(config, "same", "stock=5;other=1");
        write(config, "next holder", "stock=6");
        write(config, "paused holder", "stock=5");
        write(config, "nobody", null);
        write(config, "garbled", "stock");
        awaitSeen(6);
        // a plain close stays in the group, and the next one would wait for its session to end
        assertThat(
                streams.close(
                    CloseOptions.groupMembershipOperation(
                        CloseOptions.GroupMembershipOperation.LEAVE_GROUP)))
            .isTrue();
      }
      try (KafkaStreams again = stream.start(config, "writes", state)) {
        write(config, "still paused", "stock=5");
        write(config, "current", "stock=6");
        awaitSeen(8);
      }
    }
    assertThat(stream.passed).containsExactly("first", "same", "next holder", "current");
    assertThat(stream.refused)
        .containsExactly(
            "paused holder: StaleTokenException",
            "nobody: LockException",
            "garbled: LockException",
            "still paused: StaleTokenException");
  }

  private void awaitSeen(int writes) {
    await().atMost(SOON).until(() -> stream.passed.size() + stream.refused.size() == writes);
  }

  private static void write(LockstepConfig config, String value, @Nullable String tokens)
      throws Exception {
    FencedStream.send(config, "writes", value, tokens);
  }
}
