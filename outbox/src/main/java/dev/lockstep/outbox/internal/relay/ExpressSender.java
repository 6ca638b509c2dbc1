package dev.lockstep.outbox.internal.relay;

import dev.lockstep.outbox.RelayOptions;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;

/**
 * Rows at once by a plain idempotent producer with one request in flight, closed at its first
 * failure; the position follows in a small transaction of its own, behind a commit of 1,000 rows or
 * more, else 50 ms behind at most.
 *
 * <p>The position is written under the shard's transactional id, so a zombie cannot set it back;
 * its late rows are dropped by row id.
 */
final class ExpressSender implements LaneSender {

  private static final long POSITION_EVERY_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final int POSITION_EVERY_ROWS = 1_000;

  private record Failed(RowName row, Throwable cause) {}

  private final KafkaProducer<byte[], byte[]> transactional;
  private final KafkaProducer<byte[], byte[]> plain;
  private final RowRecords records;
  private final Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions;
  private final AtomicLong acknowledged = new AtomicLong();
  private volatile @Nullable Failed failure;
  private long sent;
  private @Nullable RelayPosition pending;
  private int pendingRows;
  private long committedAt;

  ExpressSender(
      KafkaProducer<byte[], byte[]> transactional,
      RelayOptions options,
      RowRecords records,
      Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions) {
    this.transactional = transactional;
    this.records = records;
    this.positions = positions;
    this.plain = Producers.express(options);
  }

  @Override
  public void commit(Batch first, Further further) {
    int rows = 0;
    RelayPosition last = first.position();
    for (Batch batch = first; batch != null; batch = further.next()) {
      batch.rows().forEach(this::send);
      rows += batch.rows().size();
      last = batch.position();
    }
    awaitAll();
    pending = last;
    pendingRows += rows;
    boolean isFirst = committedAt == 0;
    if (isFirst
        || pendingRows >= POSITION_EVERY_ROWS
        || System.nanoTime() - committedAt >= POSITION_EVERY_NANOS) {
      commitPosition();
    }
  }

  @Override
  public void idle() {
    if (pending != null && System.nanoTime() - committedAt >= POSITION_EVERY_NANOS) {
      commitPosition();
    }
  }

  @Override
  public void settle() {
    commitPosition();
  }

  @Override
  public void close() {
    plain.close(Duration.ZERO);
  }

  private void commitPosition() {
    RelayPosition position = pending;
    if (position == null) {
      return;
    }
    transactional.beginTransaction();
    var unused = transactional.send(positions.apply(position));
    transactional.commitTransaction();
    pending = null;
    pendingRows = 0;
    committedAt = System.nanoTime();
  }

  private void send(LedgerRow row) {
    if (failure != null) {
      return;
    }
    sent++;
    RowName name = RowName.of(row);
    try {
      var unused =
          plain.send(
              records.of(row),
              (metadata, error) -> {
                if (error != null) {
                  fail(name, error);
                } else {
                  acknowledged.incrementAndGet();
                }
              });
    } catch (RuntimeException e) {
      fail(name, e);
    }
  }

  private void fail(RowName row, Throwable error) {
    if (failure == null) {
      failure = new Failed(row, error);
      plain.close(Duration.ZERO);
    }
  }

  private void awaitAll() {
    if (failure == null) {
      plain.flush();
    }
    Failed failed = failure;
    if (failed != null) {
      SendFailure kind = SendFailure.of(failed.cause());
      if (kind == SendFailure.RECORD || kind == SendFailure.TOPIC) {
        throw new RefusedException(failed.row(), false, failed.cause());
      }
      throw new KafkaException(
          "%d express rows are not acknowledged".formatted(sent - acknowledged.get()),
          failed.cause());
    }
    if (acknowledged.get() != sent) {
      throw new KafkaException(
          "%d express rows are not acknowledged".formatted(sent - acknowledged.get()));
    }
  }
}
