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

  private record Failed(RowName row, Exception cause) {}

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
  public void commit(Batch first, Further further) {
    AtomicReference<@Nullable Failed> firstFailed = new AtomicReference<>();
    RelayPosition last = first.position();
    records.begin();
    producer.beginTransaction();
    try {
      for (Batch batch = first; batch != null; batch = further.next()) {
        send(batch.rows(), firstFailed);
        last = batch.position();
      }
      var unused = producer.send(positions.apply(last));
      producer.commitTransaction();
    } catch (KafkaException e) {
      Failed failed = firstFailed.get();
      Throwable cause = failed == null ? e : failed.cause();
      if (!isRefusal(cause)) {
        if (failed != null && failed.cause() != e) {
          // says more: a record that timed out leaves the producer with no reason of its own
          e.addSuppressed(failed.cause());
        }
        throw e;
      }
      // throws when the producer cannot go on: then the caller starts again
      producer.abortTransaction();
      records.rollback();
      failed = firstFailed.get();
      if (failed != null && isRefusal(failed.cause())) {
        // the commit may fail before it is told which record is to blame
        cause = failed.cause();
      }
      // rows that were still on their way fail with what befell the position
      boolean isPosition =
          SendFailure.unauthorizedTopics(cause).contains(positions.apply(last).topic());
      throw new RefusedException(failed == null || isPosition ? null : failed.row(), true, cause);
    }
  }

  private static boolean isRefusal(Throwable cause) {
    SendFailure failure = SendFailure.of(cause);
    return failure == SendFailure.RECORD || failure == SendFailure.TOPIC;
  }

  private void send(List<LedgerRow> rows, AtomicReference<@Nullable Failed> firstFailed) {
    for (LedgerRow row : rows) {
      RowName name = RowName.of(row);
      // a failed send fails the commit: commitTransaction waits for all and throws the first
      var unused =
          producer.send(
              records.of(row),
              (metadata, error) -> {
                if (error != null) {
                  firstFailed.compareAndSet(null, new Failed(name, error));
                }
              });
    }
  }

  @Override
  public void close() {
    // the shard owns the producer
  }
}
