package dev.lockstep.outbox;

import static dev.lockstep.outbox.OutboxWorld.bytes;
import static dev.lockstep.outbox.OutboxWorld.message;
import static dev.lockstep.outbox.OutboxWorld.soon;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.InboxOptions.Mode;
import dev.lockstep.outbox.OffsetInbox.Claim;
import dev.lockstep.outbox.SequenceInbox.Kind;
import dev.lockstep.outbox.SequenceInbox.Verdict;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.RowSource;
import dev.lockstep.testkit.process.ChildJvm;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Statement;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Each message once into the database, whatever dies and whoever was replaced. */
class InboxIT extends InboxServers {

  @ParameterizedTest
  @CsvSource({"POSTGRESQL, OFFSETS", "POSTGRESQL, IDS", "MARIADB, OFFSETS", "MARIADB, IDS"})
  void consumersThatAreKilledHandleEachMessageOnceInItsOrder(TestDatabase.Kind kind, Mode mode)
      throws Exception {
    Random random = new Random(20261122);
    try (OutboxWorld world = world(kind);
        OutboxRelay relay = relay(world, mode == Mode.IDS ? Lane.EXPRESS : Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      world.execute("CREATE TABLE handled (n " + serial(kind) + ", k varchar(40), v varchar(40))");
      List<ChildJvm> consumers = new ArrayList<>();
      try {
        consumers.add(consumer(world, mode, topic, 0));
        consumers.add(consumer(world, mode, topic, 1));
        for (int round = 0; round < 6; round++) {
          for (int i = 0; i < 200; i++) {
            int version = round * 200 + i;
            world.publish(message(topic, "k" + version % 7, "" + version));
          }
          int victim = random.nextInt(2);
          consumers.get(victim).kill();
          consumers.set(victim, consumer(world, mode, topic, 2 + round));
        }
        soon(() -> assertThat(world.number("SELECT count(*) FROM handled")).isEqualTo(1_200));
      } finally {
        consumers.forEach(ChildJvm::close);
      }
      assertThat(world.number("SELECT count(DISTINCT v) FROM handled")).isEqualTo(1_200);
      for (int key = 0; key < 7; key++) {
        assertThat(world.texts("SELECT v FROM handled WHERE k = 'k" + key + "' ORDER BY n"))
            .isSortedAccordingTo((a, b) -> Integer.parseInt(a) - Integer.parseInt(b));
      }
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void messageThatIsRefusedWaitsInItsPartitionAndUndoesOnlyItself(TestDatabase.Kind kind)
      throws Exception {
    AtomicBoolean refuse = new AtomicBoolean(true);
    try (OutboxWorld world = world(kind);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      String answers = world.createTopic(topic + "-answers", 1, Map.of());
      world.outbox.register(answers, Lane.EXACTLY_ONCE, 0);
      for (int i = 0; i < 10; i++) {
        world.publish(
            message(topic, "a", "a" + i).toPartition(0),
            message(topic, "b", "b" + i).toPartition(1));
      }
      InboxOptions options = options(world, Mode.OFFSETS).withLongestWait(Duration.ofMillis(200));
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options,
              (tx, record) -> {
                String value = text(record.value());
                tx.publish(message(answers, "x", "re-" + value));
                if (value.equals("a5") && refuse.get()) {
                  throw new IllegalStateException("not a5");
                }
              })) {
        soon(() -> assertThat(values(world, answers)).hasSize(15));
        soon(
            () ->
                assertThat(consumer.health().faults())
                    .hasEntrySatisfying(
                        topic + "-0",
                        fault -> assertThat(fault).contains("offset").contains("not a5")));
        assertThat(values(world, answers)).doesNotContain("re-a5").contains("re-a4", "re-b9");
        refuse.set(false);
        soon(() -> assertThat(values(world, answers)).hasSize(20).doesNotHaveDuplicates());
        soon(() -> assertThat(consumer.health().isHealthy()).isTrue());
        assertThat(consumer.health().handled()).isEqualTo(20);
      }
      assertThat(values(world, answers).stream().filter(v -> v.startsWith("re-a"))).isSorted();
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void messageIsParkedAfterItsAttemptsAndTheRestGoesOn(TestDatabase.Kind kind) throws Exception {
    AtomicInteger attempts = new AtomicInteger();
    try (OutboxWorld world = world(kind);
        OutboxRelay relay = relay(world, Lane.EXPRESS)) {
      String topic = topic(world);
      for (int i = 0; i < 10; i++) {
        world.publish(message(topic, "a", "a" + i));
      }
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options(world, Mode.IDS).parkingAfter(3).withLongestWait(Duration.ofMillis(200)),
              (tx, record) -> {
                if (text(record.value()).equals("a5")) {
                  attempts.incrementAndGet();
                  try (Statement broken = tx.connection().createStatement()) {
                    broken.execute("SELECT nothing FROM nowhere");
                  }
                }
              })) {
        soon(() -> assertThat(consumer.health().parked()).isEqualTo(1));
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(9));
        soon(() -> assertThat(consumer.health().isHealthy()).isTrue());
      }
      assertThat(attempts.get()).isBetween(3, 5);
      assertThat(world.texts("SELECT reason FROM lockstep_inbox_parked"))
          .singleElement()
          .asString()
          .containsIgnoringCase("nowhere");
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** It came again, and could not be parked again, for ever. */
  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void parkedMessageThatComesAgainIsARepeat(TestDatabase.Kind kind) throws Exception {
    try (OutboxWorld world = world(kind);
        OutboxRelay relay = relay(world, Lane.EXPRESS)) {
      String topic = topic(world);
      world.publish(message(topic, "a", "1"), message(topic, "a", "2"), message(topic, "a", "3"));
      InboxOptions options =
          options(world, Mode.IDS).parkingAfter(2).withLongestWait(Duration.ofMillis(100));
      InboxHandler handler =
          (tx, record) -> {
            if (text(record.value()).equals("2")) {
              throw new StackOverflowError("deep\0");
            }
          };
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(2));
        soon(() -> assertThat(consumer.health().parked()).isEqualTo(1));
      }
      world.kafka().deleteConsumerGroups(List.of(options.consumer())).all().get();
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(consumer.health().repeats()).isEqualTo(3));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(world.number("SELECT count(*) FROM lockstep_inbox_parked")).isEqualTo(1);
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** What failed behind the handler was blamed on the database, and tried for ever. */
  @Test
  void answerThatTheDatabaseRefusesIsItsMessagesFault() throws Exception {
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      world.execute("CREATE TABLE checked (v text UNIQUE DEFERRABLE INITIALLY DEFERRED)");
      for (int i = 1; i <= 6; i++) {
        world.publish(message(topic, "a", "" + i));
      }
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options(world, Mode.OFFSETS).parkingAfter(2).withLongestWait(Duration.ofMillis(100)),
              (tx, record) -> {
                String value = text(record.value());
                if (value.equals("2")) {
                  tx.publish(message(topic, "b", "x").withHeader("bad", "\0"));
                }
                if (value.equals("4")) {
                  // an error that the handler keeps to itself
                  try (Statement broken = tx.connection().createStatement()) {
                    broken.execute("SELECT nothing FROM nowhere");
                  } catch (SQLException e) {
                    // swallowed
                  }
                }
                try (Statement insert = tx.connection().createStatement()) {
                  insert.execute(
                      "INSERT INTO checked VALUES ('" + (value.equals("6") ? "1" : value) + "')");
                } catch (SQLException e) {
                  // swallowed as well
                }
              })) {
        soon(
            () ->
                assertThat(consumer.health().handled() + consumer.health().parked()).isEqualTo(6));
        soon(() -> assertThat(consumer.health().isHealthy()).isTrue());
      }
      assertThat(world.texts("SELECT v FROM checked ORDER BY v")).containsExactly("1", "3", "5");
      assertThat(world.number("SELECT count(*) FROM lockstep_inbox_parked")).isEqualTo(3);
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /**
   * Behind the last record lies a marker; its offset may be gone when the next claim asks for it.
   */
  @Test
  void idleConsumerStandsBehindTheMarkerOfTheLastTransaction() throws Exception {
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      world.publish(message(topic, "a", "1").toPartition(0));
      try (InboxConsumer consumer =
          InboxConsumer.start(world.outbox, options(world, Mode.OFFSETS), (tx, record) -> {})) {
        soon(() -> assertThat(consumer.health().handled()).isEqualTo(1));
        soon(
            () ->
                assertThat(world.number("SELECT max(next_offset) FROM lockstep_inbox_offset"))
                    .isEqualTo(end(world, topic, 0)));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void messageThatWasSentAndAbortedIsNotHandled() throws Exception {
    List<String> handled = new CopyOnWriteArrayList<>();
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      Map<String, Object> settings = world.config.client();
      settings.put("transactional.id", topic);
      try (KafkaProducer<byte[], byte[]> producer =
          new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, bytes("a"), bytes("aborted"))).get();
        producer.abortTransaction();
      }
      world.publish(message(topic, "a", "1").toPartition(0));
      try (InboxConsumer consumer =
          InboxConsumer.start(
              world.outbox,
              options(world, Mode.OFFSETS),
              (tx, record) -> handled.add(text(record.value())))) {
        soon(() -> assertThat(handled).containsExactly("1"));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  @Test
  void recordsThatWereDeletedUnhandledStopTheirPartitionWithTheRange() throws Exception {
    List<String> handled = new CopyOnWriteArrayList<>();
    InboxHandler handler = (tx, record) -> handled.add(text(record.value()));
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      InboxOptions options = options(world, Mode.OFFSETS);
      world.publish(message(topic, "a", "1").toPartition(0));
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1"));
        assertThat(consumer.health().groupFault()).isEmpty();
      }
      world.publish(
          message(topic, "a", "2").toPartition(0), message(topic, "b", "3").toPartition(1));
      soon(() -> assertThat(world.records(topic)).hasSize(3));
      long end = end(world, topic, 0);
      world
          .kafka()
          .deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(end)))
          .all()
          .get();
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1", "3"));
        soon(
            () ->
                assertThat(consumer.health().faults())
                    .hasEntrySatisfying(
                        topic + "-0",
                        fault -> assertThat(fault).contains("deleted before they were handled")));
        InboxAdmin admin = new InboxAdmin(world.dataSource);
        assertThat(admin.acceptLoss(options, topic, 1, "who", "nothing is missing there"))
            .isFalse();
        assertThat(admin.acceptLoss(options, topic, 0, "who", "sent again by hand")).isTrue();
        assertThat(
                world.number(
                    "SELECT count(*) FROM lockstep_outbox_operation WHERE principal = 'who'"
                        + " AND operation LIKE 'accept the loss%offsets 1 to%'"))
            .isEqualTo(1);
        world.publish(message(topic, "a", "4").toPartition(0));
        soon(() -> assertThat(handled).containsExactly("1", "3", "4"));
        soon(() -> assertThat(consumer.health().isHealthy()).isTrue());
      }
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  /** Found by a reader of the reference: ids went on behind the gap, and nobody was told. */
  @Test
  void recordsThatWereDeletedUnhandledStopTheirPartitionWhereIdsAreKept() throws Exception {
    List<String> handled = new CopyOnWriteArrayList<>();
    InboxHandler handler = (tx, record) -> handled.add(text(record.value()));
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXPRESS)) {
      String topic = topic(world);
      TopicPartition gap = new TopicPartition(topic, 0);
      InboxOptions options = options(world, Mode.IDS);
      world.publish(message(topic, "a", "1").toPartition(0));
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1"));
        soon(() -> assertThat(committed(world, options)).containsEntry(gap, 1L));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      world.publish(
          message(topic, "a", "2").toPartition(0), message(topic, "b", "3").toPartition(1));
      soon(() -> assertThat(world.records(topic)).hasSize(3));
      world.kafka().deleteRecords(Map.of(gap, RecordsToDelete.beforeOffset(2))).all().get();
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1", "3"));
        soon(
            () ->
                assertThat(consumer.health().faults())
                    .hasEntrySatisfying(
                        gap.toString(),
                        fault ->
                            assertThat(fault)
                                .contains("offsets 1 to 1 were deleted before they were handled")
                                .contains("InboxAdmin.acceptLoss")));
        assertThatThrownBy(() -> accept(world, options, gap))
            .isInstanceOf(OutboxException.class)
            .hasMessageContaining("stop it in all processes first");
      }
      assertThat(accept(world, options, gap)).isTrue();
      assertThat(committed(world, options)).containsEntry(gap, 2L);
      world
          .kafka()
          .alterConsumerGroupOffsets(options.consumer(), Map.of(gap, new OffsetAndMetadata(9)))
          .all()
          .get();
      assertThat(accept(world, options, gap)).as("the end is lost").isTrue();
      assertThat(committed(world, options)).containsEntry(gap, 2L);
      assertThat(accept(world, options, gap)).isFalse();
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        world.publish(message(topic, "a", "4").toPartition(0));
        soon(() -> assertThat(handled).containsExactly("1", "3", "4"));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  private static boolean accept(OutboxWorld world, InboxOptions options, TopicPartition gap)
      throws SQLException {
    return new InboxAdmin(world.dataSource)
        .acceptLoss(options, gap.topic(), gap.partition(), "who", "sent again by hand");
  }

  @Test
  void topicThatIsCreatedAMomentLaterIsWaitedFor() throws Exception {
    try (OutboxWorld world = world(TestDatabase.Kind.H2)) {
      InboxOptions options = options(world, Mode.IDS);
      CompletableFuture<InboxConsumer> started =
          CompletableFuture.supplyAsync(
              () -> InboxConsumer.start(world.outbox, options, (tx, record) -> {}));
      world.createTopic(topic(world), 2, Map.of());
      try (InboxConsumer consumer = started.get(60, TimeUnit.SECONDS)) {
        soon(() -> assertThat(consumer.health().isHealthy()).isTrue());
      }
    }
  }

  private static Map<TopicPartition, Long> committed(OutboxWorld world, InboxOptions options)
      throws Exception {
    Map<TopicPartition, Long> offsets = new HashMap<>();
    world
        .kafka()
        .listConsumerGroupOffsets(options.consumer())
        .partitionsToOffsetAndMetadata()
        .get()
        .forEach((partition, offset) -> offsets.put(partition, offset.offset()));
    return offsets;
  }

  @Test
  void topicOfTheExpressLaneIsRefusedWhereOffsetsCount() throws Exception {
    try (OutboxWorld world = world(TestDatabase.Kind.H2)) {
      world.createTopic(world.options.name() + "-in", 2, Map.of());
      world.outbox.register(world.options.name() + "-in", Lane.EXPRESS, 0);
      assertThatThrownBy(
              () ->
                  InboxConsumer.start(
                      world.outbox, options(world, Mode.OFFSETS), (tx, record) -> {}))
          .isInstanceOf(OutboxException.class)
          .hasMessageContaining("express lane");
    }
  }

  /** With the old offsets nothing of the new topic would be handled (outbox-review, 4). */
  @Test
  void topicThatWasMadeAnewAndGroupThatWasForgottenBeginWhereTheyShould() throws Exception {
    List<String> handled = new CopyOnWriteArrayList<>();
    InboxHandler handler = (tx, record) -> handled.add(text(record.value()));
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      String topic = topic(world);
      InboxOptions options = options(world, Mode.OFFSETS);
      world.publish(message(topic, "a", "1"), message(topic, "a", "2"));
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1", "2"));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      world.kafka().deleteConsumerGroups(List.of(options.consumer())).all().get();
      world.publish(message(topic, "a", "3"));
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1", "2", "3"));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      world.kafka().deleteTopics(List.of(topic)).all().get();
      soon(() -> assertThat(world.kafka().listTopics().names().get()).doesNotContain(topic));
      world.createTopic(topic, 2, Map.of());
      world.publish(message(topic, "a", "4"));
      try (InboxConsumer consumer = InboxConsumer.start(world.outbox, options, handler)) {
        soon(() -> assertThat(handled).containsExactly("1", "2", "3", "4"));
        assertThat(consumer.health().faults()).isEmpty();
      }
      assertThat(relay.health().faults()).isEmpty();
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void whoClaimedBeforeHandlesNothingAnyMore(TestDatabase.Kind kind) throws Exception {
    OffsetInbox inbox = new OffsetInbox("billing");
    try (OutboxWorld world = world(kind)) {
      Claim zombie =
          world.outbox.callInTransaction(tx -> inbox.claim(tx.connection(), "t", "id", 3, 100));
      world.outbox.inTransaction(
          tx -> {
            assertThat(inbox.begin(tx.connection(), zombie)).isEqualTo(100);
            inbox.end(tx.connection(), zombie, 110);
          });
      Claim owner =
          world.outbox.callInTransaction(tx -> inbox.claim(tx.connection(), "t", "id", 3, 0));
      assertThat(owner.nextOffset()).isEqualTo(110);
      assertThatThrownBy(
              () -> world.outbox.inTransaction(tx -> inbox.begin(tx.connection(), zombie)))
          .isInstanceOf(ClaimLostException.class)
          .hasMessageContaining("claimed for 'billing' under epoch 2, this consumer has 1");
      world.outbox.inTransaction(
          tx -> assertThat(inbox.begin(tx.connection(), owner)).isEqualTo(110));
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void numbersTellRepeatsAndLosses(TestDatabase.Kind kind) throws Exception {
    SequenceInbox inbox = new SequenceInbox("audit");
    UUID source = UUID.randomUUID();
    try (OutboxWorld world = world(kind)) {
      assertThat(taken(world, inbox, source, 4, 7)).isEqualTo(new Verdict(Kind.NEXT, 0));
      assertThat(taken(world, inbox, source, 4, 8)).isEqualTo(new Verdict(Kind.NEXT, 0));
      assertThat(taken(world, inbox, source, 4, 8)).isEqualTo(new Verdict(Kind.REPEAT, 0));
      assertThat(taken(world, inbox, source, 4, 11)).isEqualTo(new Verdict(Kind.GAP, 2));
      assertThat(taken(world, inbox, source, 5, 1)).isEqualTo(new Verdict(Kind.NEXT, 0));
      assertThat(taken(world, inbox, source, 4, 12)).isEqualTo(new Verdict(Kind.REPEAT, 0));
      assertThat(taken(world, inbox, source, 7, 3)).isEqualTo(new Verdict(Kind.GAP, 2));
      assertThat(taken(world, inbox, source, 7, 0)).isEqualTo(new Verdict(Kind.UNCOUNTED, 0));
    }
  }

  /** End to end: no number is missing where a topic's rows are keyed. */
  @Test
  void rowsOfARelayAreNumberedWithoutGaps() throws Exception {
    SequenceInbox inbox = new SequenceInbox("audit");
    try (OutboxWorld world = world(TestDatabase.Kind.POSTGRESQL)) {
      try (OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
        for (int i = 0; i < 50; i++) {
          world.publish(message(topic(world), "k" + i, "v"));
        }
        soon(() -> assertThat(world.records(topic(world))).hasSize(50));
        assertThat(relay.health().isHealthy()).isTrue();
      }
      for (ConsumerRecord<byte[], byte[]> record : world.records(topic(world))) {
        Verdict verdict =
            world.outbox.callInTransaction(
                tx ->
                    inbox.take(
                        tx.connection(),
                        record.topic(),
                        record.partition(),
                        RowSource.of(record.headers())));
        assertThat(verdict).isEqualTo(new Verdict(Kind.NEXT, 0));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(TestDatabase.Kind.class)
  void idsAreForgottenBehindTheHorizonAndOlderMessagesRefused(TestDatabase.Kind kind)
      throws Exception {
    try (OutboxWorld world = world(kind)) {
      Instant now = world.now();
      Inbox inbox = new Inbox("billing");
      Inbox nineDaysAgo =
          new Inbox("billing", Clock.fixed(now.minus(Duration.ofDays(9)), ZoneOffset.UTC));
      world.outbox.inTransaction(
          tx -> {
            assertThat(nineDaysAgo.isFirst(tx.connection(), "old", now.minus(Duration.ofDays(9))))
                .isTrue();
            assertThat(inbox.isFirst(tx.connection(), "new", now.minus(Duration.ofDays(6))))
                .isTrue();
          });
      Inbox.forgetOld(world.dataSource);
      assertThat(world.texts("SELECT message_id FROM lockstep_inbox")).containsExactly("new");
      world.outbox.inTransaction(
          tx -> {
            assertThat(inbox.isFirst(tx.connection(), "new", now.minus(Duration.ofDays(6))))
                .isFalse();
            assertThatThrownBy(
                    () -> inbox.isFirst(tx.connection(), "old", now.minus(Duration.ofDays(9))))
                .isInstanceOf(OutboxException.class)
                .hasMessageContaining("whether it was taken is known from");
          });
    }
  }

  @Test
  void sampleOfThePageBillsEachOrderOnce() throws Exception {
    try (OutboxWorld world = world(TestDatabase.Kind.H2);
        OutboxRelay relay = relay(world, Lane.EXACTLY_ONCE)) {
      world.execute("CREATE TABLE invoice (order_id varchar(40) PRIMARY KEY)");
      String invoices = world.createTopic(world.options.name() + "-invoices", 1, Map.of());
      world.outbox.register(invoices, Lane.EXACTLY_ONCE, 0);
      world.publish(message(topic(world), "o1", "placed"), message(topic(world), "o2", "placed"));
      try (InboxConsumer consumer = billing(world.outbox, world.config, topic(world), invoices)) {
        soon(
            () ->
                assertThat(world.read(invoices))
                    .containsExactlyInAnyOrder("o1=billed", "o2=billed"));
        assertThat(consumer.health().isHealthy()).isTrue();
      }
      assertThat(world.texts("SELECT order_id FROM invoice")).containsExactly("o1", "o2");
      assertThat(relay.health().isHealthy()).isTrue();
    }
  }

  // tag::inbox[]
  static InboxConsumer billing(
      Outbox outbox, LockstepConfig config, String orders, String invoices) {
    return InboxConsumer.start(
        outbox,
        InboxOptions.of(config, "billing", Mode.OFFSETS, orders),
        (tx, record) -> {
          String order = new String(record.key(), UTF_8);
          try (PreparedStatement insert =
              tx.connection().prepareStatement("INSERT INTO invoice VALUES (?)")) {
            insert.setString(1, order);
            insert.executeUpdate();
          }
          tx.publish(OutboxMessage.of(invoices, order, "billed".getBytes(UTF_8)));
        });
  }

  // end::inbox[]

  private static Verdict taken(
      OutboxWorld world, SequenceInbox inbox, UUID source, long epoch, long n) throws SQLException {
    RowSource row = new RowSource(source, 1, epoch, n, UUID.randomUUID());
    return world.outbox.callInTransaction(tx -> inbox.take(tx.connection(), "t", 0, row));
  }

  private static long end(OutboxWorld world, String topic, int partition) throws Exception {
    TopicPartition one = new TopicPartition(topic, partition);
    return world
        .kafka()
        .listOffsets(Map.of(one, OffsetSpec.latest()))
        .partitionResult(one)
        .get()
        .offset();
  }

  private OutboxWorld world(TestDatabase.Kind kind) throws Exception {
    return world(kind, "");
  }

  /** Starts a relay for the one topic of a world. */
  private static OutboxRelay relay(OutboxWorld world, Lane lane) throws Exception {
    world.createTopic(topic(world), 2, Map.of());
    world.outbox.register(topic(world), lane, 0);
    return OutboxRelay.start(world.outbox, world.options);
  }

  private static String serial(TestDatabase.Kind kind) {
    return kind == TestDatabase.Kind.MARIADB
        ? "bigint AUTO_INCREMENT PRIMARY KEY"
        : "bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY";
  }

  private static List<String> values(OutboxWorld world, String topic) {
    return world.records(topic).stream().map(r -> text(r.value())).toList();
  }

  private static String text(byte[] bytes) {
    return new String(bytes, UTF_8);
  }
}
