package dev.lockstep.lock;

import dev.lockstep.schema.LockstepConfig;

/** A process of its own that starts a topic epoch: {@code bootstrap partitions}. */
public final class LockEpochMain {

  private LockEpochMain() {}

  public static void main(String[] args) {
    System.out.println("starting");
    LockTopics.startEpoch(
        LockstepConfig.of(args[0]), Integer.parseInt(args[1]), "ops@example", "killed on the way");
    System.out.println("done");
  }
}
