package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.testkit.process.ChildJvm;
import java.sql.SQLTransientException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Messages that were parked are handled again when an operator wants it, each once. */
class InboxRetryIT extends InboxServers {

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void messageIsHandledOnceAndAsItCame(TestDatabase.Kind kind) throws Exception {
    AtomicReference<String> fault = new AtomicReference<>("not yet");
    List<ConsumerRecord<byte[], byte[]>> tried = new CopyOnWriteArrayList<>();
    try (OutboxWorld world = world(kind)) {
      String topic = topic(world);
      world.outbox.register(topic + "-answers", Lane.EXACTLY_ONCE, 0);
      InboxAdmin admin = new InboxAdmin(world.dataSource);
      InboxOptions options = parking(world, Mode.OFFSETS);
      send(world, topic, "0", "1", "2");
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options,
              (tx, record) -> {
                tx.publish(message(topic + "-answers", "a", text(record)));
                if (text(record).equals("1")) {
                  tried.add(record);
                  if (fault.get() != null) {
                    throw new IllegalStateException(fault.get());
                  }
                }
              })) {
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(2));
        ParkedMessage parked = admin.parked(options.consumer(), 10).get(0);
        assertThat(parked.topic() + "@" + parked.offset()).isEqualTo(topic + "@1");
        assertThat(parked.key()).isEqualTo(bytes("key"));
        assertThat(parked.bytes()).isEqualTo(1);
        assertThat(parked.reason()).contains("not yet");
        assertThat(parked.isReleased()).isFalse();
        assertThat(parked.parkedAt())
            .isBetween(world.now().minusSeconds(60), world.now().plusSeconds(1));

        fault.set("still not\0");
        assertThat(admin.retry(parked.id(), "me", "deployed")).isTrue();
        soon(
            () ->
                assertThat(admin.parked(options.consumer(), 10))
                    .singleElement()
                    .satisfies(again -> assertThat(again.reason()).contains("still not"))
                    .satisfies(again -> assertThat(again.isReleased()).isFalse()));
        assertThat(consumer.health().isHealthy()).isTrue();

        fault.set(null);
        assertThat(admin.retry(parked.id(), "me", "deployed again")).isTrue();
        soon(() -> assertThat(admin.parked(options.consumer(), 10)).isEmpty());
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(3));
        assertThat(admin.retry(parked.id(), "me", "once more")).isFalse();
        assertThat(admin.discard(parked.id(), "me", "too late")).isFalse();
      }
      assertThat(world.texts("SELECT operation FROM lockstep_outbox_operation"))
          .hasSize(2)
          .containsOnly("retry %s-0@1 of %s".formatted(topic, options.consumer()));
      assertThat(world.number("SELECT count(*) FROM lockstep_outbox")).isEqualTo(3);
      ConsumerRecord<byte[], byte[]> last = tried.get(tried.size() - 1);
      assertThat(described(last)).isEqualTo(described(tried.get(0))).contains("none=null");
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void oneIsDiscardedAndTheRestHandledInTheirOrder(TestDatabase.Kind kind) throws Exception {
    AtomicBoolean refuses = new AtomicBoolean(true);
    List<String> handled = new CopyOnWriteArrayList<>();
    try (OutboxWorld world = world(kind)) {
      InboxAdmin admin = new InboxAdmin(world.dataSource);
      InboxOptions options = parking(world, Mode.IDS);
      send(world, topic(world), "0", "1", "2", "3", "4");
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options,
              (tx, record) -> {
                if (refuses.get()) {
                  throw new IllegalStateException("not yet");
                }
                handled.add(text(record));
              })) {
        soon(() -> assertThat(admin.parked(options.consumer(), 10)).hasSize(5));
        refuses.set(false);
        ParkedMessage second = admin.parked(options.consumer(), 2).get(1);
        assertThat(admin.discard(second.id(), "me", "harmful")).isTrue();
        assertThat(admin.retryAll(options.consumer(), "me", "mended")).isEqualTo(4);
        assertThat(admin.retryAll("another", "me", "mended")).isZero();
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(4));
        assertThat(handled).containsExactly("0", "2", "3", "4");
        assertThat(admin.parked(options.consumer(), 10)).isEmpty();
      }
      assertThat(world.texts("SELECT operation FROM lockstep_outbox_operation"))
          .containsExactlyInAnyOrder(
              "discard %s-0@1 of %s".formatted(topic(world), options.consumer()),
              "retry all 4 parked messages of " + options.consumer());
    }
  }

  /** A deadlock of a retry need not come to an operator again. */
  @Test
  void retryThatTheDatabaseRefusesIsRepeatedAndHoldsUpNoOther() throws Exception {
    AtomicBoolean parks = new AtomicBoolean(true);
    AtomicBoolean locked = new AtomicBoolean(true);
    AtomicInteger attempts = new AtomicInteger();
    List<String> handled = new CopyOnWriteArrayList<>();
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL)) {
      InboxAdmin admin = new InboxAdmin(world.dataSource);
      InboxOptions options = parking(world, Mode.OFFSETS);
      send(world, topic(world), "0", "1");
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options,
              (tx, record) -> {
                if (parks.get()) {
                  throw new IllegalStateException("not yet");
                }
                if (text(record).equals("0") && locked.get()) {
                  attempts.incrementAndGet();
                  throw new SQLTransientException("locked");
                }
                handled.add(text(record));
              })) {
        soon(() -> assertThat(admin.parked(options.consumer(), 10)).hasSize(2));
        parks.set(false);
        assertThat(admin.retryAll(options.consumer(), "me", "mended")).isEqualTo(2);
        soon(() -> assertThat(handled).containsExactly("1"));
        soon(() -> assertThat(attempts.get()).isGreaterThan(1));
        locked.set(false);
        soon(() -> assertThat(handled).containsExactly("1", "0"));
        soon(() -> assertThat(admin.parked(options.consumer(), 10)).isEmpty());
        assertThat(consumer.health().isHealthy()).isTrue();
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"POSTGRESQL, OFFSETS", "MARIADB, IDS"})
  void consumersThatAreKilledHandleEachOnce(TestDatabase.Kind kind, Mode mode) throws Exception {
    int messages = 2_000;
    try (OutboxWorld world = world(kind)) {
      String topic = topic(world);
      InboxAdmin admin = new InboxAdmin(world.dataSource);
      String[] values = new String[messages];
      Arrays.setAll(values, Integer::toString);
      send(world, topic, values);
      // its table is missing: all are parked
      InboxOptions options =
          InboxOptions.of(
                  InboxMain.config(cluster().bootstrapServers()), "killed-" + topic, mode, topic)
              .parkingAfter(1);
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, InboxMain::handle)) {
        soon(() -> assertThat(consumer.health().parked()).isEqualTo(messages));
      }
      world.execute("CREATE TABLE handled (k varchar(40), v varchar(40))");
      assertThat(admin.retryAll(options.consumer(), "me", "made the table")).isEqualTo(messages);
      for (int round = 1; round <= 4; round++) {
        int enough = round * 300;
        try (ChildJvm child = consumer(world, mode, topic, round)) {
          await()
              .atMost(Duration.ofSeconds(60))
              .pollInterval(Duration.ofMillis(20))
              .until(() -> world.number("SELECT count(*) FROM handled") >= enough);
          child.kill();
        }
      }
      assertThat(world.number("SELECT count(*) FROM lockstep_inbox_parked")).isPositive();
      try (ChildJvm last = consumer(world, mode, topic, 5)) {
        soon(() -> assertThat(world.number("SELECT count(*) FROM lockstep_inbox_parked")).isZero());
        assertThat(last.isAlive()).isTrue();
      }
      assertThat(world.number("SELECT count(*) FROM handled")).isEqualTo(messages);
      assertThat(world.number("SELECT count(DISTINCT v) FROM handled")).isEqualTo(messages);
    }
  }

  /** Two groups of one consumer: each of the two owns all partitions. */
  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void twoThatBelieveToOwnAPartitionHandleEachOnce(TestDatabase.Kind kind) throws Exception {
    int messages = 200;
    AtomicBoolean refuses = new AtomicBoolean(true);
    AtomicInteger calls = new AtomicInteger();
    InboxHandler handler =
        (tx, record) -> {
          if (refuses.get()) {
            throw new IllegalStateException("not yet");
          }
          calls.incrementAndGet();
          InboxMain.handle(tx, record);
        };
    try (OutboxWorld world = world(kind)) {
      world.execute("CREATE TABLE handled (k varchar(40), v varchar(40))");
      InboxAdmin admin = new InboxAdmin(world.dataSource);
      InboxOptions options = parking(world, Mode.IDS);
      InboxOptions twin =
          InboxOptions.of(
                  new LockstepConfig(cluster().bootstrapServers(), "twin.", Map.of()),
                  options.consumer(),
                  Mode.IDS,
                  topic(world))
              .parkingAfter(1);
      String[] values = new String[messages];
      Arrays.setAll(values, Integer::toString);
      send(world, topic(world), values);
      try (InboxConsumer one = InboxConsumer.start(world.outbox, options, handler);
          InboxConsumer two = InboxConsumer.start(world.outbox, twin, handler)) {
        soon(() -> assertThat(admin.parked(options.consumer(), messages + 1)).hasSize(messages));
        soon(() -> assertThat(seen(one) + seen(two)).isEqualTo(2L * messages));
        refuses.set(false);
        assertThat(admin.retryAll(options.consumer(), "me", "mended")).isEqualTo(messages);
        soon(() -> assertThat(world.number("SELECT count(*) FROM lockstep_inbox_parked")).isZero());
        soon(() -> assertThat(one.health().handled() + two.health().handled()).isEqualTo(messages));
        assertThat(one.health().isHealthy() && two.health().isHealthy()).isTrue();
      }
      assertThat(calls).hasValue(messages);
      assertThat(world.number("SELECT count(*) FROM handled")).isEqualTo(messages);
    }
  }

  private static long seen(InboxConsumer consumer) {
    return consumer.health().parked() + consumer.health().repeats();
  }

  private OutboxWorld world(TestDatabase.Kind kind) throws Exception {
    OutboxWorld world = world(kind, "retry_");
    world.createTopic(topic(world), 1, Map.of());
    return world;
  }

  private static InboxOptions parking(OutboxWorld world, Mode mode) {
    return options(world, mode).parkingAfter(1);
  }

  private static void send(OutboxWorld world, String topic, String... values) {
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(
            world.config.client(), new ByteArraySerializer(), new ByteArraySerializer())) {
      for (String value : values) {
        var record = new ProducerRecord<>(topic, 0, bytes("key"), bytes(value));
        record.headers().add("who", bytes("me")).add("none", null).add("empty", new byte[0]);
        var unused = producer.send(record);
      }
    }
  }

  private static String described(ConsumerRecord<byte[], byte[]> record) {
    StringBuilder text =
        new StringBuilder(
            "%s-%d@%d %s %s %s=%s (%d, %d)"
                .formatted(
                    record.topic(),
                    record.partition(),
                    record.offset(),
                    record.timestampType(),
                    record.timestamp(),
                    new String(record.key(), UTF_8),
                    text(record),
                    record.serializedKeySize(),
                    record.serializedValueSize()));
    for (Header header : record.headers()) {
      text.append(' ').append(header.key()).append('=').append(Arrays.toString(header.value()));
    }
    return text.toString();
  }

  private static String text(ConsumerRecord<byte[], byte[]> record) {
    return new String(record.value(), UTF_8);
  }
}
