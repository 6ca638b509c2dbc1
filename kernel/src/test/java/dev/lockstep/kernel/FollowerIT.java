package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.fixture.Tally;
import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.kernel.fixture.TallyWorld;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import dev.lockstep.testkit.process.ChildJvm;
import dev.lockstep.testkit.process.Rounds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInfo;
import org.junit.jupiter.api.io.TempDir;

/** Folds beside the host: silent ones, and twins that announce. */
class FollowerIT {

  private static final Duration LONG = Duration.ofSeconds(60);
  private static final byte[] FIRST = {};
  private static final byte[] LAST = {(byte) 0xff};

  @TempDir static Path directory;
  private static KafkaCluster cluster;

  private TallyWorld world;

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  @BeforeEach
  void createTopics(TestInfo info) {
    String name = info.getTestMethod().orElseThrow().getName();
    world = new TallyWorld(cluster, directory, name.substring(0, Math.min(40, name.length())));
  }

  @Test
  void followersThatBeginAtAnyMomentEqualTheReplay() throws Exception {
    List<Follower> followers = new ArrayList<>();
    List<Map<Integer, List<Announcement>>> heard = new ArrayList<>();
    ScheduledExecutorService sender = Executors.newSingleThreadScheduledExecutor();
    HostOptions options = HostOptions.tuned(world.config(), world.directory().resolve("state"));
    try (TallyLoad load = load(3);
        Host host = Host.start(Tally.spec(world.config()), options)) {
      var unused = sender.scheduleAtFixedRate(() -> load.send(20), 0, 10, TimeUnit.MILLISECONDS);
      for (int i = 0; i < 6; i++) {
        Map<Integer, List<Announcement>> effects = new ConcurrentHashMap<>();
        heard.add(effects);
        Follower follower =
            Follower.start(
                Tally.spec(world.config()),
                world.config(),
                (partition, effect) ->
                    effects
                        .computeIfAbsent(partition, p -> new CopyOnWriteArrayList<>())
                        .add(effect));
        followers.add(follower);
        follower.followAll();
        await().pollDelay(Duration.ofMillis(300)).until(() -> true);
      }
      sender.shutdown();
      assertThat(sender.awaitTermination(5, TimeUnit.SECONDS)).isTrue();
      load.flush();

      // ticks come for as long as alarms are pending
      await().atMost(LONG).untilAsserted(() -> assertFollowed(followers, heard));
      assertThat(host.health().stopped()).isEmpty();
    } finally {
      sender.shutdownNow();
      followers.forEach(Follower::close);
    }
  }

  private void assertFollowed(
      List<Follower> followers, List<Map<Integer, List<Announcement>>> heard) throws Exception {
    for (Follower follower : followers) {
      assertThat(follower.awaitCurrent(LONG)).isTrue();
    }
    for (int partition = 0; partition < TallyWorld.PARTITIONS; partition++) {
      assertFollowed(partition, followers, heard);
    }
  }

  private void assertFollowed(
      int partition, List<Follower> followers, List<Map<Integer, List<Announcement>>> heard) {
    Replay replay = world.replay(partition);
    List<String> expected = replay.effects().stream().map(Announcement::describe).toList();
    List<Store.Row> rows = replay.read(FollowerIT::rows);
    for (int i = 0; i < followers.size(); i++) {
      assertThat(followers.get(i).read(partition, FollowerIT::rows)).isEqualTo(rows);
      List<String> effects =
          heard.get(i).getOrDefault(partition, List.of()).stream()
              .map(Announcement::describe)
              .toList();
      // a tick may have come since the replay: then this fails, and is asked again
      assertThat(effects).isNotEmpty();
      assertThat(expected).endsWith(effects.toArray(String[]::new));
    }
  }

  @Test
  void killedHostDelaysNobodyWhoHasTwins() {
    try (TallyLoad load = load(4);
        ChildJvm twin = world.process("twin", "twin")) {
      ChildJvm owner = world.process("owner");
      load.sendFor(Duration.ofSeconds(2));
      world.awaitEqualToReplay(LONG);
      owner.kill();
      int before = effects().size();
      load.send("a", new Tally.Add("a", 1));
      load.send("a", new Tally.Arm("a", 500));
      load.send(300);
      load.flush();

      // the alarm needs ticks, which only the twin is left to send
      int expected = before + 250;
      await().atMost(LONG).until(() -> effects().size() > expected);
      await().atMost(LONG).until(() -> closed("a"));

      assertThat(twin.isAlive()).isTrue();
      owner = world.process("owner");
      world.awaitEqualToReplay(LONG);
      owner.close();
    }
  }

  /** Nobody else announces meanwhile: what lands behind a lost send would stay before it. */
  @Test
  void twinWhoseSendsWereGivenUpBeginsAgainFromCommittedState() {
    try (TallyLoad load = load(6);
        ChildJvm twin = world.process("twin", "twin")) {
      ChildJvm owner = world.process("owner");
      load.sendFor(Duration.ofSeconds(2));
      world.awaitEqualToReplay(LONG);
      owner.kill();
      boolean hit = false;
      // a pause hits only if a send is on its way, and is not taken up again in time
      for (int round = 0; round < 3 || (!hit && round < 15); round++) {
        load.sendFor(Duration.ofMillis(700));
        cluster.node(1).pause();
        load.sendFor(Duration.ofMillis(3_000 + 200L * round));
        cluster.node(1).resume();
        load.sendFor(Duration.ofMillis(700));
        hit = read(twin.output()).contains("begins again from committed");
      }
      assertThat(hit).isTrue();
      owner = world.process("owner");
      world.awaitEqualToReplay(LONG);
      owner.close();
    }
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void twinsThatAreKilledAndPausedInventAndLoseNothing() {
    long seed = 20261121L;
    System.out.println("seed " + seed);
    Random random = new Random(seed);
    Map<String, ChildJvm> running = new HashMap<>();
    try (TallyLoad load = load(seed)) {
      start(running, "owner");
      start(running, "twin-a");
      start(running, "twin-b");
      load.sendFor(Duration.ofSeconds(3));
      for (int round = 0; round < Rounds.of(5, 60); round++) {
        String victim = List.of("owner", "twin-a", "twin-b", "broker").get(random.nextInt(4));
        boolean kill = random.nextBoolean();
        System.out.println(round + ": " + (kill ? "kill " : "pause ") + victim);
        if (victim.equals("broker")) {
          // past the delivery time-out, so that lanes fail
          cluster.node(1).pause();
          load.sendFor(Duration.ofSeconds(3));
          cluster.node(1).resume();
        } else if (kill) {
          running.get(victim).kill();
          load.sendFor(Duration.ofMillis(700));
          start(running, victim);
        } else {
          running.get(victim).pause();
          load.sendFor(Duration.ofMillis(2_500));
          running.get(victim).resume();
        }
        load.sendFor(Duration.ofMillis(500 + random.nextInt(1_000)));
      }
      ReplayAudit.Result result = world.awaitEqualToReplay(LONG);
      System.out.println(result.records() + " records, " + result.repeats() + " repeats dropped");
      assertThat(result.repeats()).isPositive();
      running.values().forEach(process -> assertThat(process.isAlive()).isTrue());
    } finally {
      running.values().forEach(ChildJvm::close);
    }
  }

  @Test
  void stateThatDoesNotFitItsDigestIsNotShown() throws Exception {
    HostOptions options = HostOptions.tuned(world.config(), world.directory().resolve("state"));
    try (TallyLoad load = load(5);
        Host host = Host.start(Tally.spec(world.config()), options)) {
      load.send(500);
      load.flush();
      world.awaitEqualToReplay(LONG);
      assertThat(host.health().stopped()).isEmpty();
    }
    write(world.config().named("lockstep-tally-state-changelog"), 1, "\u0001kplanted");

    try (Follower follower =
        Follower.start(Tally.spec(world.config()), world.config(), (p, effect) -> {})) {
      follower.followAll();
      await()
          .atMost(LONG)
          .untilAsserted(
              () -> {
                assertThat(follower.progress().get(1).state()).isEqualTo(Follower.State.SEEDING);
                assertThat(follower.progress().get(1).reason()).contains("its rows give");
                assertThat(follower.progress().get(0).state()).isEqualTo(Follower.State.FOLLOWING);
              });
      assertThat(follower.awaitCurrent(Duration.ofMillis(300))).isFalse();
    }
  }

  @Test
  void topicThatWasCreatedAgainStopsItsFollowers() throws Exception {
    String input = world.config().named("tally.commands");
    try (Follower follower =
            Follower.start(Tally.spec(world.config()), world.config(), (p, effect) -> {});
        Admin admin = Admin.create(world.config().client())) {
      follower.followAll();
      assertThat(follower.awaitCurrent(LONG)).isTrue();
      admin.deleteTopics(List.of(input)).all().get();
      await()
          .atMost(LONG)
          .ignoreExceptions()
          .until(
              () -> {
                admin.createTopics(List.of(new NewTopic(input, 4, (short) 1))).all().get();
                return true;
              });
      await()
          .atMost(LONG)
          .untilAsserted(
              () ->
                  assertThat(follower.progress().values())
                      .allSatisfy(
                          progress -> {
                            assertThat(progress.state()).isEqualTo(Follower.State.STOPPED);
                            assertThat(progress.reason()).contains("was created again");
                          }));
    }
  }

  private TallyLoad load(long seed) {
    return new TallyLoad(world.config(), TallyWorld.PARTITIONS, seed);
  }

  private void start(Map<String, ChildJvm> running, String place) {
    running.put(
        place, place.startsWith("twin") ? world.process(place, "twin") : world.process(place));
  }

  private List<String> effects() {
    return world.read(world.config().named("tally.totals"), 3).stream()
        .map(record -> Tally.CODEC.decode(record.value()).toString())
        .toList();
  }

  private boolean closed(String key) {
    return effects().stream().anyMatch(effect -> effect.startsWith("Closed[key=" + key + ","));
  }

  private void write(String topic, int partition, String key) throws Exception {
    try (KafkaProducer<byte[], byte[]> producer =
        new KafkaProducer<>(
            world.config().client(), new ByteArraySerializer(), new ByteArraySerializer())) {
      byte[] bytes = key.getBytes(StandardCharsets.UTF_8);
      producer.send(new ProducerRecord<>(topic, partition, bytes, bytes)).get();
    }
  }

  private static List<Store.Row> rows(Store store) {
    return store.range(FIRST, LAST, Integer.MAX_VALUE);
  }
}
