package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.fixture.Tally;
import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.kernel.fixture.TallyWorld;
import dev.lockstep.schema.Partitions;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Three brokers whose clocks differ by 400 ms, the lead going to and fro (rules 2 and 7). */
class HostClusterIT {

  private static final Duration LONG = Duration.ofSeconds(60);
  private static final long AHEAD_MS = 400;

  @TempDir static Path directory;
  private static KafkaCluster cluster;
  private static Admin admin;

  @BeforeAll
  static void startBrokers() {
    cluster =
        KafkaCluster.startSkewed(directory, BrokerProfile.TUNED, List.of(0L, AHEAD_MS, -AHEAD_MS));
    admin = Admin.create(Map.of("bootstrap.servers", cluster.bootstrapServers()));
  }

  @AfterAll
  static void stopBrokers() {
    admin.close();
    cluster.close();
  }

  /** Execution K11 of the kernel review. */
  @Test
  void clocksThatDifferExpireNobodyEarly() throws Exception {
    TallyWorld world = new TallyWorld(cluster, directory, "clocks");
    makeTicksLong(world);
    ScheduledExecutorService sender = Executors.newSingleThreadScheduledExecutor();
    try (TallyLoad load = new TallyLoad(world.config(), TallyWorld.PARTITIONS, 51);
        Host host =
            Host.start(
                Tally.spec(world.config()),
                HostOptions.tuned(world.config(), world.directory().resolve("state")))) {
      String key = "key-1";
      load.send(key, new Tally.Add(key, 3));
      load.flush();
      world.awaitEqualToReplay(LONG);
      // dense records: time runs in full between the steps of the clocks
      var unused =
          sender.scheduleAtFixedRate(
              () -> load.send(key, new Tally.Add(key, 1)), 0, 20, TimeUnit.MILLISECONDS);
      // a slow machine may change the lead too seldom to say anything: more rounds then
      for (int round = 1; backSteps(world, input(world, key)) < 3; round++) {
        assertThat(round).as("rounds in which the clocks hardly differed").isLessThan(6);
        closesNoEarlier(world, load, key, round);
      }
      sender.shutdown();
      assertThat(sender.awaitTermination(10, TimeUnit.SECONDS)).isTrue();
      load.flush();
      world.awaitEqualToReplay(LONG);
      assertThat(host.health().stopped()).isEmpty();
    } finally {
      sender.shutdownNow();
    }
  }

  /** A step of time is at most two ticks: with short ones a clock that is fooled gains little. */
  private static void makeTicksLong(TallyWorld world) {
    try (TopicAdmin topics = new TopicAdmin(world.config())) {
      topics.changeLayout(
          world.config().named("tally.commands"),
          TallyWorld.ORDER,
          layout -> layout.setTickMillis(500));
    }
  }

  private static void closesNoEarlier(TallyWorld world, TallyLoad load, String key, int round)
      throws Exception {
    Duration armed = Duration.ofSeconds(10);
    int before = closed(world).size();
    long sentAt = System.nanoTime();
    load.send(key, new Tally.Arm(key, armed.toMillis()));
    load.flush();
    int[] leads = {0};
    await()
        .atMost(LONG)
        // long enough that records come in under each leader
        .pollInterval(Duration.ofMillis(300))
        .until(
            () -> {
              lead(input(world, key), 2 + leads[0]++ % 2);
              return closed(world).size() > before;
            });
    Duration took = Duration.ofNanos(System.nanoTime() - sentAt);
    System.out.printf("round %d: %d leads, closed after %s%n", round, leads[0], took);
    // once, the later clock may count against the earlier one: part of the two ticks that whoever
    // relies on a deadline subtracts; a clock that is fooled each time gains several times as much
    assertThat(took).isGreaterThanOrEqualTo(armed.minusMillis(2 * AHEAD_MS));
  }

  private static TopicPartition input(TallyWorld world, String key) {
    return new TopicPartition(
        world.config().named("tally.commands"), Partitions.of(key, TallyWorld.PARTITIONS));
  }

  @Test
  void tooFewInSyncReplicasStopTheStart() throws Exception {
    TallyWorld world = new TallyWorld(cluster, directory, "minimum");
    String topic = world.config().named("tally.commands");
    world.set(topic, "min.insync.replicas", "1");

    assertThatThrownBy(
            () ->
                Host.start(
                    Tally.spec(world.config()),
                    HostOptions.tuned(world.config(), world.directory().resolve("state"))))
        .isInstanceOf(StartRefusedException.class)
        .hasMessageContaining("'" + topic + "' has 3 replicas and min.insync.replicas=1, needs 2");
  }

  /** Makes a broker the leader of a partition. */
  private static void lead(TopicPartition partition, int broker) throws Exception {
    List<Integer> replicas = new ArrayList<>(List.of(broker));
    for (int id = 1; id <= 3; id++) {
      if (id != broker) {
        replicas.add(id);
      }
    }
    admin
        .alterPartitionReassignments(
            Map.of(partition, Optional.of(new NewPartitionReassignment(replicas))))
        .all()
        .get();
    await()
        .atMost(LONG)
        .pollInterval(Duration.ofMillis(20))
        .until(
            () -> {
              admin
                  .electLeaders(ElectionType.PREFERRED, java.util.Set.of(partition))
                  .partitions()
                  .get();
              return admin
                      .describeTopics(List.of(partition.topic()))
                      .allTopicNames()
                      .get()
                      .get(partition.topic())
                      .partitions()
                      .get(partition.partition())
                      .leader()
                      .id()
                  == broker;
            });
  }

  /** Counts records with an earlier time than the one before them: two clocks, for certain. */
  private static long backSteps(TallyWorld world, TopicPartition input) {
    long back = 0;
    long before = Long.MIN_VALUE;
    for (ConsumerRecord<byte[], byte[]> record : world.read(List.of(input))) {
      back += record.timestamp() < before ? 1 : 0;
      before = record.timestamp();
    }
    return back;
  }

  private static List<Tally.Closed> closed(TallyWorld world) {
    List<Tally.Closed> closed = new ArrayList<>();
    for (ConsumerRecord<byte[], byte[]> record :
        world.read(world.config().named("tally.totals"), 3)) {
      if (Tally.CODEC.decode(record.value()) instanceof Tally.Closed end) {
        closed.add(end);
      }
    }
    return closed;
  }
}
