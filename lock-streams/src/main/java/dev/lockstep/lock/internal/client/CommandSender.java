package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends commands to the lock log. One that could not be appended is sent again as long as its
 * session lasts: every command may be repeated. Thread-safe.
 */
final class CommandSender implements AutoCloseable {

  private static final Logger LOG = LoggerFactory.getLogger(CommandSender.class);
  private static final Duration RESEND = Duration.ofMillis(200);

  /**
   * One command.
   *
   * @param appended called when it stands in the log; must be quick
   * @param dropped called instead when its session is over or the client is closed
   * @param repeated set when it was sent again: it may stand in the log twice
   */
  record Outgoing(
      PartitionSession session,
      String owner,
      String key,
      Object command,
      Runnable appended,
      Runnable dropped,
      AtomicBoolean repeated) {

    Outgoing(
        PartitionSession session,
        String owner,
        String key,
        Object command,
        Runnable appended,
        Runnable dropped) {
      this(session, owner, key, command, appended, dropped, new AtomicBoolean());
    }

    /** A command whose way nobody follows: only its answer counts. */
    Outgoing(PartitionSession session, String owner, String key, Object command) {
      this(session, owner, key, command, () -> {}, () -> {});
    }
  }

  private final String topic;
  private final BiConsumer<Duration, Runnable> timer;
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaProducer<byte[], byte[]> producer;
  private volatile boolean closing;
  private volatile @Nullable String fault;

  CommandSender(LockClientOptions options, BiConsumer<Duration, Runnable> timer) {
    this.topic = options.config().named(LockSchemas.COMMANDS);
    this.timer = timer;
    Map<String, Object> settings = options.config().client();
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    // what comes while a request is under way goes together in the next: fewer and fuller requests
    settings.put("max.in.flight.requests.per.connection", "1");
    settings.put("delivery.timeout.ms", "10000");
    settings.put("request.timeout.ms", "4000");
    // beats and replies wait behind a send that blocks
    settings.put("max.block.ms", "2000");
    this.producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  void send(Outgoing outgoing) {
    if (closing || !outgoing.session().owner().equals(outgoing.owner())) {
      outgoing.dropped().run();
      return;
    }
    try {
      var unused =
          producer.send(
              record(outgoing.session(), outgoing.key(), outgoing.command()),
              (metadata, error) -> {
                if (error == null) {
                  fault = null;
                  outgoing.appended().run();
                } else {
                  failed(outgoing, error);
                }
              });
    } catch (RuntimeException e) {
      // an interrupted caller, say: the command must not be lost for it
      failed(outgoing, e);
    }
  }

  private void failed(Outgoing outgoing, Exception error) {
    if (closing) {
      outgoing.dropped().run();
      return;
    }
    fault = "Commands cannot be appended to '%s': %s".formatted(topic, error);
    outgoing.repeated().set(true);
    LOG.warn("Lock command was not appended, sent again: {}", error.toString());
    timer.accept(RESEND, () -> send(outgoing));
  }

  /** The last word to a partition: not sent again, the service expires the session otherwise. */
  void sendLast(PartitionSession session, String key, Object command) {
    var unused = producer.send(record(session, key, command));
  }

  @Nullable String fault() {
    return fault;
  }

  void stop() {
    closing = true;
  }

  @Override
  public void close() {
    closing = true;
    producer.close(Duration.ofSeconds(5));
  }

  private ProducerRecord<byte[], byte[]> record(
      PartitionSession session, String key, Object command) {
    return new ProducerRecord<>(
        topic, session.partition(), key.getBytes(StandardCharsets.UTF_8), codec.encode(command));
  }
}
