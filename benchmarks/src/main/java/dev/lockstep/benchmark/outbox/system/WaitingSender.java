package dev.lockstep.benchmark.outbox.system;

import static java.nio.charset.StandardCharsets.ISO_8859_1;
import static java.nio.charset.StandardCharsets.UTF_8;

import dev.lockstep.benchmark.outbox.Place;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What libraries need that mark a row as done once a call returns: the call has to wait for the
 * broker. Many threads wait at once, so records share batches without a linger.
 */
final class WaitingSender implements AutoCloseable {

  private final String topic;
  private final KafkaProducer<byte[], byte[]> producer;

  WaitingSender(Place place) {
    this.topic = place.topic();
    Map<String, Object> settings = place.config().client();
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    this.producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Bytes as a text of as many characters, for those who store JSON. */
  static String text(byte[] payload) {
    return new String(payload, ISO_8859_1);
  }

  void send(String key, String payload) {
    try {
      var unused =
          producer
              .send(new ProducerRecord<>(topic, key.getBytes(UTF_8), payload.getBytes(ISO_8859_1)))
              .get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }

  @Override
  public void close() {
    producer.close();
  }
}
