package dev.lockstep.kernel.internal.engine;

import dev.lockstep.kernel.MachineSpec;
import java.util.function.Consumer;

/**
 * What a fold needs besides its rows.
 *
 * @param machine the kind of machine
 * @param partition input partition
 * @param unwrittenRows most rows that may have changed before they are written
 * @param twice run each turn twice and compare: for tests and debugging
 * @param alarm told what people should look at; never changes a decision
 */
public record FoldSpec(
    MachineSpec machine, int partition, int unwrittenRows, boolean twice, Consumer<String> alarm) {

  /** Enough for a fold in memory, which nobody commits. */
  public static final int UNWRITTEN_ROWS = 10_000;

  String name() {
    return machine.inputTopic() + "-" + partition;
  }
}
