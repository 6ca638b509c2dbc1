package dev.lockstep.lock.internal;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.kernel.LogTime;
import dev.lockstep.kernel.PartitionStates;
import dev.lockstep.kernel.Store;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.ReplyTo;
import dev.lockstep.testkit.machine.VirtualPartition;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** How long the next epoch keeps all keys free. */
class EpochCarryTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final ReplyTo NOWHERE = new ReplyTo(LockSchemas.REPLIES, 0, "client", false);

  /** Two partitions in an epoch that keeps all keys free for 20 s. */
  private final List<VirtualPartition> old = List.of(partition(0), partition(1));

  private static VirtualPartition partition(int number) {
    InputPlan plan = LockTopics.plan(CONFIG, 2, List.of());
    return new VirtualPartition(
        LockTopics.machine(CONFIG), number, plan.withLimits(Map.of("lock.quiet.ms", 20_000L)), 2);
  }

  private final Layout layout =
      new Layout(
          "unused",
          "topic-id",
          2,
          2,
          200,
          1,
          List.of(),
          List.of(),
          Map.of("lock.quiet.ms", 20_000L),
          null);

  private long quietMillis(int partitions) {
    PartitionStates states =
        new PartitionStates() {
          @Override
          public <T> T read(int partition, Function<Store, T> reader) {
            return old.get(partition).read(reader);
          }

          @Override
          public LogTime now(int partition) {
            return new LogTime(old.get(partition).elapsed(), old.get(partition).time());
          }
        };
    return new EpochCarry().of(layout, partitions, states).limits().get("lock.quiet.ms");
  }

  /** Holders under epoch 1 may have time for as long as epoch 2 was to wait for them. */
  @Test
  void whatIsLeftOfAnEarlierEpochsTimeCounts() {
    old.get(0).advance(Duration.ofSeconds(15));
    old.get(1).advance(Duration.ofSeconds(6));

    assertThat(quietMillis(2)).isEqualTo(20_000 - old.get(1).elapsed()).isBetween(13_500L, 14_500L);
    assertThat(quietMillis(4)).isEqualTo(quietMillis(2));

    old.forEach(partition -> partition.advance(Duration.ofSeconds(20)));
    assertThat(quietMillis(2)).isZero();
  }

  @Test
  void keysThatMoveWaitForTheLongestSession() {
    old.forEach(partition -> partition.advance(Duration.ofSeconds(30)));
    old.get(0).send(new KeepAlive("short", 1L, 5_000L, NOWHERE));
    old.get(1).send(new KeepAlive("long", 1L, 45_000L, NOWHERE));

    assertThat(quietMillis(2)).isZero();
    assertThat(quietMillis(4)).isEqualTo(45_000);
  }
}
