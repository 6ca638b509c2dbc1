package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.jspecify.annotations.Nullable;

/** A Kafka Streams application behind a {@link StreamsFence}, and a producer for its topic. */
final class FencedStream {

  final Queue<String> passed = new ConcurrentLinkedQueue<>();
  final Queue<String> refused = new ConcurrentLinkedQueue<>();

  /** Starts it; called again with the same directory, it goes on where it stood. */
  KafkaStreams start(LockstepConfig config, String topic, Path state) {
    StreamsBuilder builder = new StreamsBuilder();
    builder.stream(topic, Consumed.with(Serdes.String(), Serdes.String()))
        .<String>processValues(
            StreamsFence.refusing(
                (record, refusal) ->
                    refused.add(record.value() + ": " + refusal.getClass().getSimpleName())))
        .foreach((key, value) -> passed.add(value));
    Properties properties = new Properties();
    properties.putAll(config.client());
    properties.put("application.id", "guarded");
    properties.put("processing.guarantee", "exactly_once_v2");
    properties.put("state.dir", state.toString());
    KafkaStreams streams = new KafkaStreams(builder.build(), properties);
    streams.start();
    return streams;
  }

  /** Sends a value under tokens; null: without the header. */
  static void send(LockstepConfig config, String topic, String value, @Nullable String tokens)
      throws Exception {
    Map<String, Object> settings = config.client();
    settings.put("acks", "all");
    try (KafkaProducer<String, String> producer =
        new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      ProducerRecord<String, String> record = new ProducerRecord<>(topic, "item", value);
      if (tokens != null) {
        record.headers().add(FencingHeader.NAME, tokens.getBytes(StandardCharsets.UTF_8));
      }
      producer.send(record).get();
    }
  }
}
