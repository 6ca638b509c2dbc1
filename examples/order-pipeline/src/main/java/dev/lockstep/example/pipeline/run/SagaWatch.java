package dev.lockstep.example.pipeline.run;

import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.PositionMark;
import dev.lockstep.schema.PositionReceiver;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.saga.SagaEnded;
import dev.lockstep.schema.saga.SagaStarted;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Follows the saga events for the progress bar; the audit never uses its counts. */
final class SagaWatch implements AutoCloseable {

  private final SingleObjectCodec codec = new SingleObjectCodec(SagaSchemas.CATALOG);
  private final PositionReceiver receiver = new PositionReceiver();
  private final KafkaConsumer<byte[], byte[]> consumer;
  private final Set<String> ended = new HashSet<>();
  private boolean started;

  SagaWatch(LockstepConfig config) {
    Map<String, Object> settings = config.client();
    settings.put("enable.auto.commit", "false");
    settings.put("auto.offset.reset", "earliest");
    this.consumer =
        new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    String topic = config.named(SagaSchemas.EVENTS);
    List<TopicPartition> partitions =
        consumer.partitionsFor(topic).stream()
            .map(info -> new TopicPartition(topic, info.partition()))
            .toList();
    consumer.assign(partitions);
    consumer.seekToBeginning(partitions);
  }

  /** Waits a moment for news; returns how many sagas have ended. */
  int poll() {
    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
      if (receiver.receive(record) != PositionMark.Verdict.TAKE) {
        continue;
      }
      Object event = codec.decode(record.value());
      if (event instanceof SagaStarted) {
        started = true;
      } else if (event instanceof SagaEnded end) {
        ended.add(end.getSagaId());
      }
    }
    return ended.size();
  }

  /** Tells whether a saga has started. */
  boolean hasStarted() {
    return started;
  }

  @Override
  public void close() {
    consumer.close();
  }
}
