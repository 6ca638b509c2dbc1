package dev.lockstep.lock.internal;

import dev.lockstep.kernel.Announcement;
import dev.lockstep.kernel.CarryOver;
import dev.lockstep.kernel.KernelException;
import dev.lockstep.kernel.PartitionStates;
import dev.lockstep.lock.internal.engine.LockMachine;
import dev.lockstep.lock.internal.engine.NextEpochs;
import dev.lockstep.schema.SingleObjectCodec;
import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Layout;
import dev.lockstep.schema.lock.SessionOk;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** What of all lock partitions goes over into the next topic epoch. */
public final class EpochCarry implements CarryOver {

  private static final String QUIET = "lock.quiet.ms";

  private final SingleObjectCodec codec = new SingleObjectCodec(LockMachine.CATALOG);

  /** A client that goes on beating is answered in the new log. */
  @Override
  public boolean mayBeMissed(Announcement effect) {
    return codec.decode(effect.value()) instanceof SessionOk;
  }

  @Override
  public Carried of(Layout current, int partitions, PartitionStates state) {
    boolean moves = current.getPartitions() != partitions;
    List<CarriedRecord> records = new ArrayList<>();
    TreeSet<String> endless = new TreeSet<>();
    long quiet = quietLeft(current, state);
    for (int i = 0; i < current.getPartitions(); i++) {
      int partition = i;
      if (moves) {
        quiet = Math.max(quiet, state.read(i, store -> new NextEpochs(store).longestTtl()));
        endless.addAll(state.read(i, store -> new NextEpochs(store).owners()));
      } else {
        state
            .read(i, store -> new NextEpochs(store).records(state.now(partition).elapsed()))
            .forEach(
                record ->
                    records.add(
                        new CarriedRecord(
                            partition,
                            record.key(),
                            ByteBuffer.wrap(codec.encode(record.value())))));
      }
      if (state.read(i, store -> new NextEpochs(store).isAnyClosed())) {
        quiet = Math.max(quiet, limit(current, "lock.delay.max.ms", 60_000));
      }
    }
    if (!endless.isEmpty()) {
      throw new KernelException(
          "Lock topic cannot go from %d to %d partitions: %d sagas hold or wait for locks, such as %s, and their keys would move; let them end, or force their locks"
              .formatted(
                  current.getPartitions(),
                  partitions,
                  endless.size(),
                  endless.stream().limit(10).toList()));
    }
    return new Carried(records, Map.of(QUIET, quiet));
  }

  /** Holders of an epoch before this one may still have time. */
  private static long quietLeft(Layout current, PartitionStates state) {
    if (current.getTopicEpoch() == 1) {
      return 0;
    }
    long whole = limit(current, QUIET, limit(current, "lock.ttl.max.ms", 3_600_000));
    long passed = Long.MAX_VALUE;
    for (int i = 0; i < current.getPartitions(); i++) {
      passed = Math.min(passed, state.now(i).elapsed());
    }
    return Math.max(0, whole - passed);
  }

  private static long limit(Layout layout, String name, long otherwise) {
    return layout.getLimits().getOrDefault(name, otherwise);
  }
}
