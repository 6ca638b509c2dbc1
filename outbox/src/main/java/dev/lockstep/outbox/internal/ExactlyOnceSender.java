package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.internal.LedgerReader.LedgerRow;
import java.util.List;
import java.util.function.Function;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Rows and position in one Kafka transaction. */
final class ExactlyOnceSender implements LaneSender {

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
  public void commit(List<LedgerRow> rows, RelayPosition position) {
    producer.beginTransaction();
    for (LedgerRow row : rows) {
      // a failed send fails the commit: commitTransaction waits for all and throws the first
      var unused = producer.send(records.of(row));
    }
    var unused = producer.send(positions.apply(position));
    producer.commitTransaction();
  }

  @Override
  public void close() {
    // the shard owns the producer
  }
}
