package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.CloseOptions;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class StreamsFenceIT {

  private static final Duration SOON = Duration.ofSeconds(30);

  @TempDir Path directory;

  private final Queue<String> passed = new ConcurrentLinkedQueue<>();
  private final Queue<String> refused = new ConcurrentLinkedQueue<>();

  @Test
  void staleTokensAreRefusedAlsoBehindARestart() throws Exception {
    try (KafkaCluster cluster =
        KafkaCluster.start(directory.resolve("kafka"), 1, BrokerProfile.TUNED)) {
      LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
      try (Admin admin = Admin.create(config.client())) {
        admin
            .createTopics(List.of(new NewTopic("writes", Optional.of(2), Optional.empty())))
            .all()
            .get();
      }
      var settings = config.client();
      settings.put("acks", "all");
      try (KafkaProducer<String, String> producer =
          new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
        try (KafkaStreams streams = application(config)) {
          write(producer, "first", "stock=5");
          write(producer, "same", "stock=5;other=1");
          write(producer, "next holder", "stock=6");
          write(producer, "paused holder", "stock=5");
          write(producer, "nobody", null);
          write(producer, "garbled", "stock");
          await().atMost(SOON).until(() -> passed.size() + refused.size() == 6);
          // a plain close stays in the group, and the next one would wait for its session to end
          assertThat(
                  streams.close(
                      CloseOptions.groupMembershipOperation(
                          CloseOptions.GroupMembershipOperation.LEAVE_GROUP)))
              .isTrue();
        }
        try (KafkaStreams again = application(config)) {
          write(producer, "still paused", "stock=5");
          write(producer, "current", "stock=6");
          await().atMost(SOON).until(() -> passed.size() + refused.size() == 8);
        }
      }
    }
    assertThat(passed).containsExactly("first", "same", "next holder", "current");
    assertThat(refused)
        .containsExactly(
            "paused holder: StaleTokenException",
            "nobody: LockException",
            "garbled: LockException",
            "still paused: StaleTokenException");
  }

  private KafkaStreams application(LockstepConfig config) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream("writes", Consumed.with(Serdes.String(), Serdes.String()))
        .<String>processValues(
            StreamsFence.refusing(
                (record, refusal) ->
                    refused.add(record.value() + ": " + refusal.getClass().getSimpleName())))
        .foreach((key, value) -> passed.add(value));
    Properties properties = new Properties();
    properties.putAll(config.client());
    properties.put("application.id", "guarded");
    properties.put("processing.guarantee", "exactly_once_v2");
    properties.put("state.dir", directory.resolve("state").toString());
    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    streams.start();
    return streams;
  }

  private static void write(
      KafkaProducer<String, String> producer, String value, @Nullable String tokens)
      throws Exception {
    ProducerRecord<String, String> record = new ProducerRecord<>("writes", "item", value);
    if (tokens != null) {
      record.headers().add(FencingHeader.NAME, tokens.getBytes(StandardCharsets.UTF_8));
    }
    producer.send(record).get();
  }
}
