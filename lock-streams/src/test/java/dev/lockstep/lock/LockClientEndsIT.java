package dev.lockstep.lock;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.schema.EffectPosition;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.LockstepHeaders;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.OperatorOrder;
import dev.lockstep.schema.lock.ForceRelease;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** However a lease or a wait ends, nothing is kept, nobody hangs, and the holder is told. */
class LockClientEndsIT {

  private static final Duration WAIT = Duration.ofSeconds(20);

  @TempDir static Path directory;
  private static LockWorld world;
  private static LockstepConfig config;

  @BeforeAll
  static void startService() {
    world = new LockWorld(directory);
    config = world.config();
  }

  @AfterAll
  static void stopService() {
    world.close();
  }

  private static LockClient client() {
    return world.client();
  }

  /** Two keys, the first in a lower partition than the second: acquired in this order. */
  private static List<String> keysOfTwoPartitions(String name) {
    List<String> sorted =
        IntStream.range(0, 50)
            .mapToObj(i -> name + "-" + i)
            .sorted(Comparator.comparing(key -> Partitions.of(key, LockWorld.PARTITIONS)))
            .toList();
    return List.of(sorted.get(0), sorted.get(sorted.size() - 1));
  }

  @Test
  void forcedReleaseIsHeardByTheHolder() throws Exception {
    BlockingQueue<Lease.State> states = new LinkedBlockingQueue<>();
    List<String> samePartition =
        IntStream.range(0, 50)
            .mapToObj(i -> "forced-" + i)
            .filter(key -> Partitions.of(key, LockWorld.PARTITIONS) == 1)
            .limit(2)
            .toList();
    String key = samePartition.get(0);
    try (LockClient a = client();
        LockClient b = client()) {
      Lease held = a.locks(samePartition).acquire(WAIT);
      held.onChange(states::add);
      CompletableFuture<Lease> waiter = b.lock(key).acquireAsync(WAIT);

      force(key, held.tokens().get(key));

      assertThat(states.poll(10, TimeUnit.SECONDS)).isEqualTo(Lease.State.LOST);
      assertThatThrownBy(held::ensureValid).isInstanceOf(LockLostException.class);
      BlockingQueue<Lease.State> late = new LinkedBlockingQueue<>();
      held.onChange(late::add);
      assertThat(late.poll(10, TimeUnit.SECONDS)).isEqualTo(Lease.State.LOST);
      assertThat(waiter.get(10, TimeUnit.SECONDS).token()).isGreaterThan(held.tokens().get(key));
      // the other key of the lost lease was given back
      assertThat(b.lock(samePartition.get(1)).acquire(WAIT).state()).isEqualTo(Lease.State.SAFE);
    }
  }

  private static void force(String key, long token) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(
            config.client(), new ByteArraySerializer(), new ByteArraySerializer())) {
      producer
          .send(
              new ProducerRecord<>(
                  config.named(LockSchemas.COMMANDS),
                  Partitions.of(key, LockWorld.PARTITIONS),
                  key.getBytes(StandardCharsets.UTF_8),
                  new SingleObjectCodec(LockSchemas.CATALOG)
                      .encode(
                          new ForceRelease(
                              key, token, new OperatorOrder("ops@example", "stuck", 0L)))))
          .get();
    }
  }

  @Test
  void codeOfTheUserMayBlockWithoutHoldingUpTheClient() throws Exception {
    CountDownLatch blocked = new CountDownLatch(2);
    CountDownLatch go = new CountDownLatch(1);
    try (LockClient a = client();
        LockClient b = client()) {
      Lease first = a.lock("blocking-1").acquire(WAIT);
      first.onChange(state -> hold(blocked, go));
      CompletableFuture<Void> second =
          a.lock("blocking-2").acquireAsync(WAIT).thenAccept(lease -> hold(blocked, go));
      force("blocking-1", first.token());
      assertThat(blocked.await(10, TimeUnit.SECONDS)).isTrue();

      // longer than a session: beats go on, others are granted
      for (int i = 0; i < 5; i++) {
        try (Lease third = a.lock("blocking-3").acquire(WAIT)) {
          third.ensureValid();
        }
        assertThat(b.lock("blocking-2").acquireAsync(Duration.ofSeconds(1)))
            .failsWithin(5, TimeUnit.SECONDS)
            .withThrowableOfType(ExecutionException.class)
            .withCauseInstanceOf(LockTimeoutException.class);
      }
      go.countDown();
      second.get(10, TimeUnit.SECONDS);
    }
  }

  /** What a callback sends may wait for other callbacks, but not for its own end. */
  @Test
  void codeOfTheUserMayWaitForWhatItAsksForItself() throws Exception {
    try (LockClient a = client()) {
      List<CompletableFuture<Long>> tokens = new ArrayList<>();
      for (int i = 0; i < 30; i++) {
        String inner = "inner-" + i;
        tokens.add(
            a.lock("outer-" + i)
                .acquireAsync(WAIT)
                .thenApply(outer -> a.lock(inner).acquireAsync(WAIT).join().token()));
      }
      for (CompletableFuture<Long> token : tokens) {
        assertThat(token.get(20, TimeUnit.SECONDS)).isPositive();
      }
    }
  }

  private static void hold(CountDownLatch blocked, CountDownLatch go) {
    blocked.countDown();
    try {
      go.await();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  @Test
  void aWaitThatItsCallerEndsKeepsNothing() throws Exception {
    List<String> set = keysOfTwoPartitions("ended");
    try (LockClient a = client();
        LockClient b = client()) {
      Lease last = a.lock(set.get(1)).acquire(WAIT);
      CompletableFuture<Lease> timedOut = b.locks(set).acquireAsync(WAIT);
      await()
          .atMost(WAIT)
          .until(
              () -> {
                Optional<Lease> early = a.lock(set.get(0)).tryAcquire();
                early.ifPresent(Lease::close);
                return early.isEmpty();
              });

      assertThat(timedOut.orTimeout(100, TimeUnit.MILLISECONDS))
          .failsWithin(5, TimeUnit.SECONDS)
          .withThrowableOfType(ExecutionException.class)
          .withCauseInstanceOf(TimeoutException.class);

      try (Lease first = a.lock(set.get(0)).acquire(Duration.ofSeconds(2))) {
        first.ensureValid();
      }
      last.close();
      try (Lease next = a.lock(set.get(1)).acquire(Duration.ofSeconds(2))) {
        next.ensureValid();
      }
    }
  }

  @Test
  void closeEndsEveryWaitOfItsClient() throws Exception {
    ExecutorService callers = Executors.newFixedThreadPool(4);
    try (LockClient holder = client()) {
      Lease held = holder.lock("closing").acquire(WAIT);
      LockClient closing = client();
      List<CompletableFuture<Lease>> waits = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        waits.add(closing.lock("closing").acquireAsync(Duration.ofMinutes(10)));
      }
      // some of them cross the close
      List<Future<CompletableFuture<Lease>>> crossing = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        String key = "crossing-" + i;
        crossing.add(callers.submit(() -> closing.lock(key).acquireAsync(Duration.ofMinutes(10))));
      }
      closing.close();

      for (CompletableFuture<Lease> wait : waits) {
        assertThat(wait)
            .failsWithin(10, TimeUnit.SECONDS)
            .withThrowableOfType(ExecutionException.class)
            .havingCause()
            .withMessage("Lock client was closed");
      }
      for (Future<CompletableFuture<Lease>> submitted : crossing) {
        submitted
            .get(10, TimeUnit.SECONDS)
            .handle((lease, error) -> true)
            .get(10, TimeUnit.SECONDS);
      }
      assertThat(closing.lock("closing").acquireAsync(WAIT))
          .failsWithin(10, TimeUnit.SECONDS)
          .withThrowableOfType(ExecutionException.class)
          .havingCause()
          .withMessage("Lock client was closed");
      held.ensureValid();
    } finally {
      callers.shutdownNow();
    }
  }

  /** A release is done when it stands in the log; the event follows. */
  private void awaitReleased(String key) {
    List<LockEvent> seen = new CopyOnWriteArrayList<>();
    try (LockEvents events =
        LockEvents.subscribe(
            config,
            key + "-released",
            Pattern.compile(key),
            EnumSet.of(LockEvent.Type.RELEASED),
            seen::add)) {
      await().atMost(WAIT).until(() -> !seen.isEmpty());
      assertThat(events.fault()).isEmpty();
    }
  }

  /** Bytes that nobody can read are skipped; what only this release cannot read is not. */
  @Test
  void eventOfANewerReleaseStopsTheConsumer() throws Exception {
    List<LockEvent> seen = new CopyOnWriteArrayList<>();
    String key = "newer-release";
    try (LockClient a = client();
        KafkaProducer<byte[], byte[]> producer =
            new KafkaProducer<>(
                config.client(), new ByteArraySerializer(), new ByteArraySerializer())) {
      append(producer, key, new byte[] {1, 2, 3});
      a.lock(key).acquire(WAIT).release().get(10, TimeUnit.SECONDS);
      awaitReleased(key);
      append(producer, key, new byte[] {(byte) 0xC3, 1, 9, 9, 9, 9, 9, 9, 9, 9});
      a.lock(key).acquire(WAIT).release().get(10, TimeUnit.SECONDS);
    }

    try (LockEvents events =
        LockEvents.subscribe(
            config,
            "newer-release",
            Pattern.compile(key),
            EnumSet.allOf(LockEvent.Type.class),
            seen::add)) {
      await()
          .atMost(WAIT)
          .untilAsserted(
              () ->
                  assertThat(events.fault())
                      .hasValueSatisfying(
                          f -> assertThat(f).contains("0909090909090909 is not known")));
    }
    assertThat(seen)
        .extracting(LockEvent::type)
        .containsExactly(LockEvent.Type.GRANTED, LockEvent.Type.RELEASED);
  }

  private static void append(KafkaProducer<byte[], byte[]> producer, String key, byte[] value)
      throws Exception {
    int partition = Partitions.of(key, LockWorld.PARTITIONS);
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(
            config.named(LockSchemas.EVENTS),
            partition,
            key.getBytes(StandardCharsets.UTF_8),
            value);
    EffectPosition position =
        new EffectPosition(
            config.named(LockSchemas.COMMANDS), partition, 1, 1L << 40, 0, null, 0L, 0);
    record
        .headers()
        .add(LockstepHeaders.POSITION, position.format().getBytes(StandardCharsets.UTF_8));
    producer.send(record).get();
  }
}
