package dev.lockstep.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import dev.lockstep.kernel.fixture.Tally;
import dev.lockstep.kernel.fixture.TallyLoad;
import dev.lockstep.kernel.fixture.TallyWorld;
import dev.lockstep.kernel.internal.streams.ControlTopic;
import dev.lockstep.kernel.internal.streams.EpochStart;
import dev.lockstep.kernel.internal.streams.TopicDump;
import dev.lockstep.schema.KernelSchemas;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.testkit.kafka.BrokerProfile;
import dev.lockstep.testkit.kafka.KafkaCluster;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.CreateTopicsResult;
import org.apache.kafka.clients.admin.DeleteConsumerGroupsOptions;
import org.apache.kafka.clients.admin.DeleteConsumerGroupsResult;
import org.apache.kafka.clients.admin.DeleteTopicsOptions;
import org.apache.kafka.clients.admin.DeleteTopicsResult;
import org.apache.kafka.clients.admin.DescribeTopicsOptions;
import org.apache.kafka.clients.admin.DescribeTopicsResult;
import org.apache.kafka.clients.admin.ForwardingAdmin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An input topic is made again, and the command is cut short at each of its steps. */
class EpochStartIT {

  private static final Duration SOON = Duration.ofSeconds(60);

  @TempDir static Path directory;
  private static KafkaCluster cluster;

  /** As a process that dies: nothing of what would follow is done. */
  private static final class CutShort extends Error {
    private static final long serialVersionUID = 1L;
  }

  /** Ends the command before or behind one of its calls. */
  private static final class CutAdmin extends ForwardingAdmin {
    private final int cutAt;
    private int step;

    CutAdmin(Map<String, Object> settings, int cutAt) {
      super(settings);
      this.cutAt = cutAt;
    }

    private void step() {
      if (step++ == cutAt) {
        throw new CutShort();
      }
    }

    @Override
    public DescribeTopicsResult describeTopics(
        TopicCollection topics, DescribeTopicsOptions options) {
      step();
      return super.describeTopics(topics, options);
    }

    @Override
    public DeleteTopicsResult deleteTopics(TopicCollection topics, DeleteTopicsOptions options) {
      step();
      DeleteTopicsResult result = super.deleteTopics(topics, options);
      settle(result.all()::get);
      step();
      return result;
    }

    @Override
    public CreateTopicsResult createTopics(
        Collection<NewTopic> topics, CreateTopicsOptions options) {
      step();
      CreateTopicsResult result = super.createTopics(topics, options);
      settle(result.all()::get);
      step();
      return result;
    }

    @Override
    public DeleteConsumerGroupsResult deleteConsumerGroups(
        Collection<String> groups, DeleteConsumerGroupsOptions options) {
      step();
      DeleteConsumerGroupsResult result = super.deleteConsumerGroups(groups, options);
      settle(result.all()::get);
      step();
      return result;
    }

    private static void settle(Callable<?> done) {
      try {
        done.call();
      } catch (ExecutionException e) {
        // the caller sees it as well
        return;
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
  }

  /** Carries one addition into each partition. */
  private static final class OneEach implements CarryOver {

    @Override
    public Carried of(Layout current, int partitions, PartitionStates state) {
      List<CarriedRecord> records = new ArrayList<>();
      for (int i = 0; i < partitions; i++) {
        byte[] value = Tally.CODEC.encode(new Tally.Add("carried", 7));
        records.add(new CarriedRecord(i, "carried", ByteBuffer.wrap(value)));
      }
      return new Carried(records, Map.of("carried", (long) current.getTopicEpoch()));
    }

    @Override
    public boolean mayBeMissed(Announcement effect) {
      return true;
    }
  }

  @BeforeAll
  static void startBroker() {
    cluster = KafkaCluster.start(directory, 1, BrokerProfile.TUNED);
  }

  @AfterAll
  static void stopBroker() {
    cluster.close();
  }

  private static Host host(TallyWorld world) {
    return Host.start(
        Tally.spec(world.config()),
        HostOptions.tuned(world.config(), world.directory().resolve("state")));
  }

  private static void startEpoch(TallyWorld world, Admin admin, int partitions) {
    MachineSpec machine = Tally.spec(world.config());
    try (ControlTopic control = new ControlTopic(world.config())) {
      new EpochStart(world.config(), admin, control, machine)
          .run(partitions, Set.of(machine.inputTopic()), TallyWorld.ORDER, new OneEach());
    }
  }

  private static Layout layout(TallyWorld world) {
    try (TopicAdmin topics = new TopicAdmin(world.config())) {
      return topics.layouts().get(world.config().named("tally.commands"));
    }
  }

  @Test
  void runsThatAreCutShortAnywhereAreCompletedByTheNext() {
    TallyWorld world = new TallyWorld(cluster, directory, "cut");
    try (Host host = host(world);
        TallyLoad load = new TallyLoad(world.config(), TallyWorld.PARTITIONS, 1)) {
      load.send(200);
      load.flush();
      world.awaitEqualToReplay(SOON);
    }
    int cuts = 0;
    boolean cut = true;
    while (cut) {
      int before = layout(world).getTopicEpoch();
      try (Admin admin = new CutAdmin(world.config().client(), cuts)) {
        startEpoch(world, admin, TallyWorld.PARTITIONS);
        cut = false;
      } catch (CutShort e) {
        cuts++;
      }
      if (cut) {
        try (Admin admin = Admin.create(world.config().client())) {
          startEpoch(world, admin, TallyWorld.PARTITIONS);
        }
      }
      assertThat(layout(world).getTopicEpoch()).as("cut %d", cuts).isEqualTo(before + 1);
      assertBeginning(world);
    }
    assertThat(cuts).isGreaterThan(8);
    try (Host host = host(world);
        TallyLoad load = new TallyLoad(world.config(), TallyWorld.PARTITIONS, 2)) {
      load.send(200);
      load.flush();
      world.awaitEqualToReplay(SOON);
      assertThat(host.health().stopped()).isEmpty();
    }
  }

  /** The Layout, then what was carried; and the same Layout is in force. */
  private static void assertBeginning(TallyWorld world) {
    SingleObjectCodec codec = new SingleObjectCodec(Tally.CATALOG.and(KernelSchemas.CATALOG));
    Layout layout = layout(world);
    try (TopicDump dump = new TopicDump(world.config())) {
      for (int i = 0; i < TallyWorld.PARTITIONS; i++) {
        List<ConsumerRecord<byte[], byte[]>> log =
            dump.read(new TopicPartition(layout.getTopic(), i));
        assertThat(codec.decode(log.get(0).value())).isEqualTo(layout);
        assertThat(codec.decode(log.get(1).value())).isEqualTo(new Tally.Add("carried", 7));
        assertThat(log).hasSize(2);
      }
    }
  }

  @Test
  void nothingHappensWhileHostsRunOrWithoutPartitions() {
    TallyWorld world = new TallyWorld(cluster, directory, "refused");
    try (Host host = host(world);
        Admin admin = Admin.create(world.config().client())) {
      await().atMost(SOON).until(() -> host.health().state() == HostHealth.State.RUNNING);
      assertThatThrownBy(() -> startEpoch(world, admin, TallyWorld.PARTITIONS))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("while its hosts run");
      assertThatThrownBy(() -> startEpoch(world, admin, 0))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("at least 1 partition");
      assertThat(layout(world).getTopicEpoch()).isEqualTo(1);
    }
  }

  /** A note of a run that died stands: hosts and other changes wait until it is completed. */
  @Test
  void hostsDoNotStartBesideAnEpochThatWasBegun() {
    TallyWorld world = new TallyWorld(cluster, directory, "begun");
    // behind the deletion of the old topic
    int afterDelete = 4;
    try (Admin admin = new CutAdmin(world.config().client(), afterDelete)) {
      assertThatThrownBy(() -> startEpoch(world, admin, TallyWorld.PARTITIONS))
          .isInstanceOf(CutShort.class);
    }
    assertThatThrownBy(() -> host(world))
        .isInstanceOf(StartRefusedException.class)
        .hasMessageContaining("was begun and not completed");
    try (TopicAdmin topics = new TopicAdmin(world.config())) {
      assertThatThrownBy(() -> topics.create(Tally.plan(world.config(), TallyWorld.PARTITIONS)))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("complete it by the command that began it");
    }
    try (Admin admin = Admin.create(world.config().client())) {
      startEpoch(world, admin, TallyWorld.PARTITIONS);
    }
    try (Host host = host(world)) {
      world.awaitEqualToReplay(SOON);
    }
  }
}
