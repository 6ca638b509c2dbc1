package dev.lockstep.saga;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxTransaction;
import dev.lockstep.saga.internal.EndWatch;
import dev.lockstep.saga.internal.Payloads;
import dev.lockstep.saga.internal.SagaLog;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.OperatorOrders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SagaSchemas;
import dev.lockstep.schema.SchemaCatalog;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.saga.Operate;
import dev.lockstep.schema.saga.OperatorAction;
import dev.lockstep.schema.saga.StartSaga;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Starts sagas and waits for their ends. Thread-safe; one per process is enough. */
public final class SagaClient implements AutoCloseable {

  private final LockstepConfig config;
  private final SagaLog log;
  private final Clock clock;
  private final SingleObjectCodec codec = new SingleObjectCodec(SagaSchemas.CATALOG);
  private final Payloads payloads = new Payloads(SchemaCatalog.of());
  private final KafkaProducer<byte[], byte[]> producer;
  private final EndWatch ends;

  /**
   * Connects, and begins to listen for ends of sagas.
   *
   * @param config how to reach Kafka
   * @throws SagaException when the saga log has no Layout yet: create the topics first
   */
  public SagaClient(LockstepConfig config) {
    this(config, Clock.systemUTC());
  }

  SagaClient(LockstepConfig config, Clock clock) {
    this.config = config;
    this.clock = clock;
    this.log = SagaLog.of(config);
    Map<String, Object> settings = new HashMap<>(config.client());
    settings.put("acks", "all");
    settings.put("linger.ms", "0");
    this.producer =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    this.ends = new EndWatch(config);
  }

  /**
   * Makes an outbox able to carry starts; call once per outbox, at start.
   *
   * @param outbox outbox of the service that starts sagas
   */
  public void register(Outbox outbox) {
    outbox.register(log.topic(), Lane.EXPRESS, log.partitions());
  }

  /**
   * Starts a saga when the caller's database transaction commits, and never when it rolls back.
   *
   * @param tx open transaction of a registered outbox
   * @param saga definition
   * @param id identity: two starts with one id start once
   * @param input first state
   * @param <S> type of the state
   */
  public <S> void start(OutboxTransaction tx, Saga<S> saga, String id, S input) {
    tx.publish(
        OutboxMessage.of(log.topic(), id, codec.encode(startOf(saga, id, input)))
            .withHeader(LockstepHeaders.CE_TYPE, StartSaga.class.getName()));
  }

  /**
   * Starts a saga now.
   *
   * @param saga definition
   * @param id identity: two starts with one id start once, so a failed call can be repeated
   * @param input first state
   * @param <S> type of the state
   * @return done when the start stands in the log
   */
  public <S> CompletableFuture<Void> start(Saga<S> saga, String id, S input) {
    return send(id, startOf(saga, id, input));
  }

  /**
   * Waits for the end of a saga. Ends that happened before this client was made are not seen.
   *
   * @param id identity of the saga
   * @return completes when the saga is completed, compensated or parked
   */
  public CompletableFuture<SagaResult> await(String id) {
    return ends.await(id);
  }

  /**
   * Orders something for a parked saga; kept in the log as the audit.
   *
   * @param id identity of the saga
   * @param order RETRY, SKIP or ABORT
   * @param principal who orders it
   * @param reason why
   * @return done when the order stands in the log
   * @throws IllegalArgumentException when principal or reason is blank or too long
   */
  public CompletableFuture<Void> operate(
      String id, OperatorAction order, String principal, String reason) {
    return send(id, new Operate(id, order, OperatorOrders.of(principal, reason, clock)));
  }

  /**
   * Tells what is wrong.
   *
   * @return the fault that is being waited out, or empty when all is well
   */
  public Optional<String> fault() {
    return Optional.ofNullable(ends.fault());
  }

  @Override
  public void close() {
    ends.close();
    producer.close();
  }

  private <S> StartSaga startOf(Saga<S> saga, String id, S input) {
    return new StartSaga(id, saga.name(), saga.version(), clock.millis(), payloads.encode(input));
  }

  private CompletableFuture<Void> send(String id, Object record) {
    CompletableFuture<Void> done = new CompletableFuture<>();
    byte[] key = id.getBytes(StandardCharsets.UTF_8);
    var unused =
        producer.send(
            new ProducerRecord<>(
                log.topic(), Partitions.of(key, log.partitions()), key, codec.encode(record)),
            (metadata, error) -> {
              if (error == null) {
                done.complete(null);
              } else {
                done.completeExceptionally(
                    new SagaException(
                        "Saga %s: record could not be appended to '%s' (%s); do it again"
                            .formatted(id, log.topic(), config),
                        error));
              }
            });
    return done;
  }
}
