package dev.lockstep.kernel.internal.streams;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.Callback;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.TransactionAbortedException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * The transactional producer of a StreamThread: lets no commit pass before its express lane is
 * settled.
 *
 * <p>{@link CommitFailedException} is the only exception that makes Kafka Streams 4.3 fold again
 * from the committed state in every path. A TimeoutException would end in TaskCorruptedException,
 * after which Streams may commit state without offsets or go on without rewinding the consumer, so
 * it is turned into the former here (rule 3, decision 0003). A failure is final for this object:
 * Streams commits a second time after some failures, and that commit must not pass either.
 */
final class HostProducer extends KafkaProducer<byte[], byte[]> {

  private final ExpressLane lane;
  private final HostMeter meter;
  private long commitBegun;
  private volatile boolean closing;

  HostProducer(Map<String, Object> config, ExpressLane lane, HostMeter meter) {
    super(config, new ByteArraySerializer(), new ByteArraySerializer());
    this.lane = lane;
    this.meter = meter;
  }

  @Override
  public void initTransactions() {
    super.initTransactions();
    // runs on the StreamThread, before any task of it is initialized
    lane.bind();
  }

  /**
   * Streams swallows an abort that times out (4.3.1) and begins again with the same producer, which
   * refuses that for ever. To Streams a fenced producer is one to be replaced.
   */
  @Override
  public void beginTransaction() {
    try {
      super.beginTransaction();
    } catch (IllegalStateException e) {
      lane.fail("transaction", e);
      throw new ProducerFencedException("No transaction can begin any more: " + e.getMessage());
    }
  }

  @Override
  public Future<RecordMetadata> send(
      ProducerRecord<byte[], byte[]> write, @Nullable Callback callback) {
    return super.send(
        write,
        (metadata, error) -> {
          if (callback != null) {
            callback.onCompletion(metadata, forStreams(error));
          }
        });
  }

  /** Called by the producer's I/O thread, or by the caller of send. */
  private @Nullable Exception forStreams(@Nullable Exception error) {
    if (!(error instanceof RetriableException)) {
      return error;
    }
    if (closing) {
      // its transaction is lost, and everybody knows: Streams passes over this one
      return new TransactionAbortedException("The producer was closed: " + error.getMessage());
    }
    lane.fail("changelog", error);
    // to Streams a fenced producer is one to be replaced, and all of its tasks fold again
    return new ProducerFencedException("A write of the state failed: " + error.getMessage());
  }

  @Override
  public void sendOffsetsToTransaction(
      Map<TopicPartition, OffsetAndMetadata> offsets, ConsumerGroupMetadata group) {
    commitBegun = System.nanoTime();
    lane.settle();
    orFail(() -> super.sendOffsetsToTransaction(offsets, group));
  }

  @Override
  public void commitTransaction() {
    lane.settle();
    orFail(super::commitTransaction);
    meter.committed(System.nanoTime() - commitBegun);
  }

  @Override
  public void close() {
    closing = true;
    lane.close();
    super.close();
  }

  @Override
  public void close(Duration timeout) {
    closing = true;
    lane.close();
    super.close(timeout);
  }

  private void orFail(Runnable call) {
    try {
      call.run();
    } catch (TimeoutException e) {
      lane.fail("transaction", e);
      throw new CommitFailedException("Outcome of a commit is not known: " + e.getMessage());
    }
  }
}
