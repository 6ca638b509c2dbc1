package dev.lockstep.kernel.internal.streams;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.HostOptions;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.LockSupport;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.jspecify.annotations.Nullable;

/**
 * Announces effects at once, in order, through a plain idempotent producer with one request in
 * flight.
 *
 * <p>At its first failure it closes for good: nothing later of this producer may land, or a
 * receiver would take a later effect and miss the failed one. What it did not deliver is announced
 * by the fold that starts again from the committed state (rules 3 and 6).
 */
public final class ExpressLane {

  /* Concurrency: all but callbacks is called by one StreamThread, callbacks by the producer's I/O
   * thread. Counters are guarded by `lock`; it is never held while the producer is called, because
   * a full buffer runs callbacks in the caller's thread.
   *
   * Crash points: a failure that leaves send() runs no callback (interrupt, serialization, Error),
   * so it is caught here. A callback may never come (Error on the I/O thread): settle waits on its
   * own counter and for a bounded time, not on flush(). */

  private static final Duration SETTLE_MARGIN = Duration.ofMillis(500);
  private static final ThreadLocal<@Nullable ExpressLane> OF_THREAD = new ThreadLocal<>();

  private final Producer<byte[], byte[]> producer;
  private final Duration settleTimeout;
  private final Consumer<String> onFailure;
  private final HostMeter meter;
  private final ReentrantLock lock = new ReentrantLock();
  private final Condition changed = lock.newCondition();
  private final HeldEffects held = new HeldEffects(System::nanoTime);

  /** Records that were polled and are not folded yet, as far as known: no decision hangs on it. */
  private int unfolded;

  private long sent;
  private long acknowledged;
  private volatile @Nullable String failure;

  ExpressLane(
      Producer<byte[], byte[]> producer,
      Duration settleTimeout,
      Consumer<String> onFailure,
      HostMeter meter) {
    this.producer = producer;
    this.settleTimeout = settleTimeout;
    this.onFailure = onFailure;
    this.meter = meter;
  }

  /** Makes a lane with a producer of its own. */
  public static ExpressLane open(
      HostOptions options, String clientId, Consumer<String> onFailure, HostMeter meter) {
    HostOptions.Timeouts timeouts = options.timeouts();
    Map<String, Object> config = options.config().client();
    config.put("client.id", clientId);
    config.put("acks", "all");
    config.put("enable.idempotence", "true");
    // five in flight lose order at a failure: 9 of 40 runs had gaps (decision 0002)
    config.put("max.in.flight.requests.per.connection", "1");
    config.put("linger.ms", "0");
    config.put("batch.size", Integer.toString(128 * 1024));
    config.put("request.timeout.ms", Long.toString(timeouts.request().toMillis()));
    config.put("delivery.timeout.ms", Long.toString(timeouts.delivery().toMillis()));
    config.put("max.block.ms", Long.toString(timeouts.delivery().toMillis()));
    config.put("retry.backoff.ms", "5");
    options
        .clientSettings()
        .forEach(
            (key, value) -> {
              if (key.startsWith("express.")) {
                config.put(key.substring("express.".length()), value);
              }
            });
    return new ExpressLane(
        new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer()),
        timeouts.delivery().plus(SETTLE_MARGIN),
        onFailure,
        meter);
  }

  /** Returns the lane of the calling StreamThread's current producer. */
  static ExpressLane ofThread() {
    ExpressLane lane = OF_THREAD.get();
    if (lane == null) {
      throw new IllegalStateException(
          "Thread " + Thread.currentThread().getName() + " has no producer yet");
    }
    return lane;
  }

  /** Makes this the lane of the calling thread. */
  void bind() {
    OF_THREAD.set(this);
  }

  /**
   * Keeps the effects of one record until the records that were polled together are folded, or
   * longer when nobody waits for them.
   */
  void hold(List<Announcement> effects) {
    unfolded--;
    // Streams has more to do before it polls again, and somebody waits
    if (held.add(effects) || (unfolded <= 0 && held.nanosLeft() <= 0)) {
      sendHeld();
    }
  }

  /** Tells the lane of the calling thread, if it has one, how many records a poll has brought. */
  static void polledByThread(int records) {
    ExpressLane lane = OF_THREAD.get();
    if (lane != null && records > 0) {
      lane.unfolded = Math.max(0, lane.unfolded) + records;
    }
  }

  private void sendHeld() {
    held.take().forEach(this::send);
  }

  /** Sends what the lane of the calling thread holds, if it has one. */
  static void sendHeldOfThread() {
    ExpressLane lane = OF_THREAD.get();
    if (lane != null) {
      lane.sendHeld();
    }
  }

  /**
   * Sends what is due, for the lane of the calling thread, if it has one. Call it before each poll;
   * it may take as long as {@link HeldEffects#LEISURE}.
   *
   * @param atMost how long the poll would take
   * @return how long it may take: what is still held becomes due then
   */
  static Duration sendDueOfThread(Duration atMost) {
    ExpressLane lane = OF_THREAD.get();
    return lane == null ? atMost : lane.sendDue(atMost);
  }

  private Duration sendDue(Duration atMost) {
    if (held.mayRest()) {
      LockSupport.parkNanos(held.nanosLeft());
    }
    long left = held.nanosLeft();
    if (left <= 0) {
      sendHeld();
      return atMost;
    }
    return atMost.toNanos() < left ? atMost : Duration.ofNanos(left);
  }

  /** Sends an effect, or drops it when the lane has failed. Only an Error is thrown. */
  public void send(Announcement effect) {
    lock.lock();
    try {
      if (failure != null) {
        return;
      }
      sent++;
      meter.announced();
    } finally {
      lock.unlock();
    }
    try {
      var unused =
          producer.send(record(effect), (metadata, error) -> completed(effect.topic(), error));
    } catch (Throwable thrown) {
      fail(effect.topic(), thrown);
      if (thrown instanceof Error error) {
        throw error;
      }
      if (thrown instanceof org.apache.kafka.common.errors.InterruptException) {
        Thread.currentThread().interrupt();
      }
    }
  }

  /**
   * Waits until every effect is acknowledged.
   *
   * @throws CommitFailedException when one is not: Streams then closes all tasks of the thread
   *     dirty, makes a new producer and folds again from the last commit
   */
  void settle() {
    sendHeld();
    long left = settleTimeout.toNanos();
    long missing;
    boolean interrupted = false;
    lock.lock();
    try {
      while (failure == null && acknowledged < sent && left > 0) {
        left = changed.awaitNanos(left);
      }
    } catch (InterruptedException e) {
      interrupted = true;
    } finally {
      missing = sent - acknowledged;
      lock.unlock();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    if (failure == null && missing == 0 && !interrupted) {
      return;
    }
    if (failure == null) {
      String why = interrupted ? "interrupted" : "no answer within " + settleTimeout;
      fail("?", new IllegalStateException(missing + " effects are not acknowledged: " + why));
    }
    throw new CommitFailedException("Effects are not delivered: " + failure);
  }

  /** Tells whether it is closed for good. */
  public boolean failed() {
    return failure != null;
  }

  /** Fails the lane from outside: the transaction's own outcome is not known. */
  void fail(String destination, Throwable cause) {
    boolean first;
    lock.lock();
    try {
      first = failure == null;
      if (first) {
        failure = destination + ": " + cause;
        meter.settled(sent - acknowledged);
      }
      changed.signalAll();
    } finally {
      lock.unlock();
    }
    if (first) {
      producer.close(Duration.ZERO);
      onFailure.accept(destination + ": " + cause);
    }
  }

  /** Ends it; what is under way may land or not, what it holds is dropped. */
  public void close() {
    lock.lock();
    try {
      if (failure == null) {
        failure = "closed";
        meter.settled(sent - acknowledged);
      }
    } finally {
      lock.unlock();
    }
    producer.close(Duration.ZERO);
  }

  private void completed(String destination, @Nullable Exception error) {
    try {
      if (error != null) {
        fail(destination, error);
        return;
      }
      lock.lock();
      try {
        acknowledged++;
        if (failure == null) {
          meter.settled(1);
        }
        if (acknowledged == sent) {
          changed.signalAll();
        }
      } finally {
        lock.unlock();
      }
    } catch (Throwable thrown) {
      // the I/O thread would die and take every later callback with it
      failure = "callback failed: " + thrown;
    }
  }

  private static ProducerRecord<byte[], byte[]> record(Announcement effect) {
    RecordHeaders headers = new RecordHeaders();
    for (Announcement.HeaderText header : effect.headers()) {
      headers.add(new RecordHeader(header.name(), header.value().getBytes(StandardCharsets.UTF_8)));
    }
    return new ProducerRecord<>(
        effect.topic(), effect.partition(), null, effect.key(), effect.value(), headers);
  }
}
