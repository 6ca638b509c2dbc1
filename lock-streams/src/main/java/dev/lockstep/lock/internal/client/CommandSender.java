package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.LockClientOptions;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BiConsumer;
import java.util.function.BooleanSupplier;
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

  /** One that is ready to go. */
  private record Ready(Outgoing outgoing, ProducerRecord<byte[], byte[]> record) {}

  private static final int MOST_HELD = 64;

  private final String topic;
  private final BiConsumer<Duration, Runnable> timer;
  private final BooleanSupplier moreToCome;
  private final Queue<Ready> held = new ArrayDeque<>(); // guarded by itself, in order of sending
  private final SingleObjectCodec codec = new SingleObjectCodec(LockSchemas.CATALOG);
  private final KafkaProducer<byte[], byte[]> producer;
  private volatile boolean closing;
  private volatile @Nullable String fault;

  /**
   * @param moreToCome tells the calling thread that it will send more at once, so that what it
   *     sends now may wait for that and go in the same request
   */
  CommandSender(
      LockClientOptions options, BiConsumer<Duration, Runnable> timer, BooleanSupplier moreToCome) {
    this.topic = options.config().named(LockSchemas.COMMANDS);
    this.moreToCome = moreToCome;
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
    Ready ready =
        new Ready(outgoing, record(outgoing.session(), outgoing.key(), outgoing.command()));
    synchronized (held) {
      held.add(ready);
      if (held.size() < MOST_HELD && moreToCome.getAsBoolean()) {
        return;
      }
      flush();
    }
  }

  /** Sends what is held; call it when nothing more comes. */
  void flush() {
    // one lock for all: commands of a session stay in their order
    synchronized (held) {
      for (Ready next = held.poll(); next != null; next = held.poll()) {
        produce(next.outgoing(), next.record());
      }
    }
  }

  private void produce(Outgoing outgoing, ProducerRecord<byte[], byte[]> record) {
    try {
      var unused =
          producer.send(
              record,
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
    flush();
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
    flush();
    producer.close(Duration.ofSeconds(5));
  }

  private ProducerRecord<byte[], byte[]> record(
      PartitionSession session, String key, Object command) {
    return new ProducerRecord<>(
        topic, session.partition(), key.getBytes(StandardCharsets.UTF_8), codec.encode(command));
  }
}
