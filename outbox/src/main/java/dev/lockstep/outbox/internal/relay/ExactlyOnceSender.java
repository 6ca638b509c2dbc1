package dev.lockstep.outbox.internal.relay;

import java.util.List;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/** Rows and position in one Kafka transaction. */
final class ExactlyOnceSender implements LaneSender {

  private record Failed(LedgerRow row, Exception cause) {}

  private final KafkaProducer<byte[], byte[]> producer;
  private final RowRecords records;
  private final Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions;

  ExactlyOnceSender(
      KafkaProducer<byte[], byte[]> producer,
      RowRecords records,
      Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions) {
    this.producer = producer;
    this.records = records;
    this.positions = positions;
  }

  @Override
  public void commit(List<LedgerRow> rows, RelayPosition position, Runnable meanwhile) {
    AtomicReference<@Nullable Failed> first = new AtomicReference<>();
    ProducerRecord<byte[], byte[]> positionRecord = positions.apply(position);
    records.begin();
    producer.beginTransaction();
    try {
      for (LedgerRow row : rows) {
        // a failed send fails the commit: commitTransaction waits for all and throws the first
        var unused =
            producer.send(
                records.of(row),
                (metadata, error) -> {
                  if (error != null) {
                    first.compareAndSet(null, new Failed(row, error));
                  }
                });
      }
      var unused = producer.send(positionRecord);
      meanwhile.run();
      producer.commitTransaction();
    } catch (KafkaException e) {
      Failed failed = first.get();
      Throwable cause = failed == null ? e : failed.cause();
      SendFailure failure = SendFailure.of(cause);
      if (failure != SendFailure.RECORD && failure != SendFailure.TOPIC) {
        if (failed != null && failed.cause() != e) {
          // says more: a record that timed out leaves the producer with no reason of its own
          e.addSuppressed(failed.cause());
        }
        throw e;
      }
      // throws when the producer cannot go on: then the caller starts again
      producer.abortTransaction();
      failed = first.get();
      records.rollback();
      // rows that were still on their way fail with what befell the position
      boolean isPosition = SendFailure.unauthorizedTopics(cause).contains(positionRecord.topic());
      throw new RefusedException(failed == null || isPosition ? null : failed.row(), true, cause);
    }
  }

  @Override
  public void close() {
    // the shard owns the producer
  }
}
