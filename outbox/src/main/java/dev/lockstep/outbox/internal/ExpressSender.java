package dev.lockstep.outbox.internal;

import dev.lockstep.outbox.internal.LedgerReader.LedgerRow;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * Rows at once by a plain idempotent producer with one request in flight, closed at its first
 * failure; the position follows in a small transaction of its own, at most 50 ms or 1,000 rows
 * behind.
 *
 * <p>The position is written under the shard's transactional id, so a zombie cannot set it back;
 * its late rows are dropped by row id.
 */
final class ExpressSender implements LaneSender {

  private static final long POSITION_EVERY_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final int POSITION_EVERY_ROWS = 1_000;
  private static final Duration DELIVERY = Duration.ofSeconds(20);

  private final KafkaProducer<byte[], byte[]> transactional;
  private final KafkaProducer<byte[], byte[]> plain;
  private final RowRecords records;
  private final Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions;
  private final AtomicLong acknowledged = new AtomicLong();
  private volatile @Nullable Throwable failure;
  private long sent;
  private @Nullable RelayPosition pending;
  private int pendingRows;
  private long committedAt;

  ExpressSender(
      KafkaProducer<byte[], byte[]> transactional,
      Map<String, Object> client,
      RowRecords records,
      Function<RelayPosition, ProducerRecord<byte[], byte[]>> positions) {
    this.transactional = transactional;
    this.records = records;
    this.positions = positions;
    Map<String, Object> settings = new HashMap<>(client);
    settings.put("acks", "all");
    settings.put("enable.idempotence", "true");
    settings.put("max.in.flight.requests.per.connection", "1");
    settings.put("linger.ms", "0");
    settings.put("batch.size", 128 * 1024);
    settings.put("request.timeout.ms", "4000");
    settings.put("delivery.timeout.ms", (int) DELIVERY.toMillis());
    settings.put("max.block.ms", DELIVERY.toMillis());
    this.plain =
        new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
  }

  @Override
  public void commit(List<LedgerRow> rows, RelayPosition position) {
    for (LedgerRow row : rows) {
      send(records.of(row));
    }
    awaitAll();
    pending = position;
    pendingRows += rows.size();
    boolean first = committedAt == 0;
    if (first
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

  private void send(ProducerRecord<byte[], byte[]> record) {
    if (failure != null) {
      return;
    }
    sent++;
    try {
      var unused =
          plain.send(
              record,
              (metadata, error) -> {
                if (error != null) {
                  fail(error);
                } else {
                  acknowledged.incrementAndGet();
                }
              });
    } catch (RuntimeException e) {
      fail(e);
    }
  }

  private void fail(Throwable error) {
    if (failure == null) {
      failure = error;
      plain.close(Duration.ZERO);
    }
  }

  private void awaitAll() {
    if (failure == null) {
      plain.flush();
    }
    Throwable cause = failure;
    if (cause != null || acknowledged.get() != sent) {
      throw new KafkaException(
          "%d express rows are not acknowledged".formatted(sent - acknowledged.get()), cause);
    }
  }
}
