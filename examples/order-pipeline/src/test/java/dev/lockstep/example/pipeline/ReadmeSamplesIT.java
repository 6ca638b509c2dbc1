package dev.lockstep.example.pipeline;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.HostOptions;
import dev.lockstep.kernel.TopicAdmin;
import dev.lockstep.kernel.TopicPlan;
import dev.lockstep.lock.LockEvent;
import dev.lockstep.lock.LockEvents;
import dev.lockstep.lock.LockService;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.Outbox;
import dev.lockstep.outbox.OutboxMessage;
import dev.lockstep.outbox.OutboxRelay;
import dev.lockstep.outbox.OutboxTopics;
import dev.lockstep.outbox.RelayOptions;
import dev.lockstep.saga.Answer;
import dev.lockstep.saga.Participant;
import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.ParticipantService;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaClient;
import dev.lockstep.saga.SagaResult;
import dev.lockstep.saga.SagaService;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.TopicSpec;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.postgres.PostgresServer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.SQLException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import javax.sql.DataSource;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The samples of the README: what stands between the tags is what the README shows. */
class ReadmeSamplesIT {

  @TempDir Path directory;

  // tag::saga[]
  record Trip(String id, String hotel, long cents) {}

  record Book(String tripId, String hotel) {}

  record Unbook(String tripId) {}

  record Charge(String tripId, long cents) {}

  static final ParticipantRef HOTEL = ParticipantRef.of("hotel");
  static final ParticipantRef BANK = ParticipantRef.of("bank");

  static final Saga<Trip> TRIP =
      Saga.named("book-trip", Trip.class)
          .step("book")
          .locking(trip -> List.of(trip.hotel()))
          .send(HOTEL, trip -> new Book(trip.id(), trip.hotel()))
          .compensate(HOTEL, trip -> new Unbook(trip.id()))
          .pivot("charge")
          .send(BANK, trip -> new Charge(trip.id(), trip.cents()))
          .within(Duration.ofSeconds(5))
          .build();

  // end::saga[]

  // tag::outbox[]
  static void placeOrder(Outbox outbox, String orderId) throws SQLException {
    outbox.inTransaction(
        tx -> {
          try (var insert = tx.connection().prepareStatement("INSERT INTO orders VALUES (?)")) {
            insert.setString(1, orderId);
            insert.executeUpdate();
          }
          byte[] event = ("placed " + orderId).getBytes(StandardCharsets.UTF_8);
          tx.publish(OutboxMessage.of("orders", orderId, event));
        });
  }

  static OutboxRelay startRelay(Outbox outbox, LockstepConfig config) {
    outbox.migrate();
    outbox.register("orders", Lane.EXACTLY_ONCE, 0);
    return OutboxRelay.start(outbox, RelayOptions.of(config, "shop"));
  }

  // end::outbox[]

  // tag::events[]
  static LockEvents follow(LockstepConfig config, BlockingQueue<LockEvent> seen) {
    return LockEvents.subscribe(
        config,
        "hotel-auditor",
        Pattern.compile("grand-.*"),
        EnumSet.of(LockEvent.Type.GRANTED),
        event -> seen.add(event)); // key, owner, fencing token, log time, stable id
  }

  // end::events[]

  @Test
  void samplesOfTheReadmeRun() throws Exception {
    try (KafkaCluster cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
        PostgresServer postgres = PostgresServer.start(directory.resolve("pg"))) {
      LockstepConfig config = LockstepConfig.of(cluster.bootstrapServers());
      postgres.createDatabase("shop");
      DataSource dataSource = postgres.dataSource("shop");
      try (Connection connection = dataSource.getConnection()) {
        connection.createStatement().execute("CREATE TABLE orders (id text PRIMARY KEY)");
      }
      createTopics(config);
      Outbox outbox = new Outbox(dataSource);
      BlockingQueue<LockEvent> seen = new LinkedBlockingQueue<>();
      try (LockService locks = LockService.start(host(config, "locks"));
          SagaService sagas = SagaService.start(List.of(TRIP), host(config, "sagas"));
          OutboxRelay relay = startRelay(outbox, config);
          ParticipantService hotel = ParticipantService.start(hotel(), outbox, config);
          ParticipantService bank = ParticipantService.start(bank(), outbox, config);
          SagaClient client = new SagaClient(config);
          LockEvents events = follow(config, seen)) {
        placeOrder(outbox, "order-1");
        client.start(TRIP, "trip-1", new Trip("trip-1", "grand-hotel", 12_000)).get();
        SagaResult result = client.await("trip-1").get(60, TimeUnit.SECONDS);

        assertThat(result.status()).isEqualTo(SagaResult.Status.COMPLETED);
        LockEvent grant = seen.poll(30, TimeUnit.SECONDS);
        assertThat(grant).isNotNull();
        assertThat(grant.owner()).isEqualTo("trip-1");
        assertThat(firstOrder(config)).isEqualTo("placed order-1");
        assertThat(locks.health().stopped()).isEmpty();
        assertThat(sagas.health().stopped()).isEmpty();
        assertThat(relay.health().isHealthy()).isTrue();
        assertThat(hotel.fault()).isEmpty();
        assertThat(bank.fault()).isEmpty();
        assertThat(events.fault()).isEmpty();
      }
    }
  }

  private HostOptions host(LockstepConfig config, String name) {
    return HostOptions.tuned(config, directory.resolve(name));
  }

  private static Participant hotel() {
    return Participant.named("hotel")
        .on(Book.class, (context, book) -> Answer.success())
        .on(Unbook.class, (context, unbook) -> Answer.success());
  }

  private static Participant bank() {
    return Participant.named("bank").on(Charge.class, (context, charge) -> Answer.success());
  }

  private static void createTopics(LockstepConfig config) {
    TopicPlan plan =
        new TopicPlan(
            List.of(
                LockTopics.plan(config, 2, List.of(SagaTopics.log(config, 2))),
                SagaTopics.plan(config, List.of(TRIP), 2, 2)),
            List.of(
                TopicSpec.application("orders", 1),
                OutboxTopics.positions(RelayOptions.of(config, "shop"))));
    try (TopicAdmin topics = new TopicAdmin(config)) {
      topics.create(plan);
      assertThat(topics.check(plan)).isEmpty();
      assertThat(TopicAdmin.describe(plan, config))
          .containsPattern("lockstep.lock.commands +partitions=2 role=INPUT");
    }
  }

  private static String firstOrder(LockstepConfig config) {
    var settings = config.client();
    settings.put("group.id", "reader");
    settings.put("isolation.level", "read_committed");
    settings.put("auto.offset.reset", "earliest");
    List<String> orders = new ArrayList<>();
    try (KafkaConsumer<String, String> consumer =
        new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of("orders"));
      while (orders.isEmpty()) {
        consumer.poll(Duration.ofMillis(200)).forEach(record -> orders.add(record.value()));
      }
    }
    return orders.get(0);
  }
}
