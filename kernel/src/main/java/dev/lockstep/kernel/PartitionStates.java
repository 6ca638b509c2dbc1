package dev.lockstep.kernel;

import java.util.function.Function;

/** State of input partitions, each at the end of what was folded of it. */
public interface PartitionStates {

  /**
   * Reads the state of a partition between two records.
   *
   * @param partition input partition
   * @param reader given the machine's rows, read only; must not keep them
   * @param <T> what it returns
   * @return what the reader returned
   */
  <T> T read(int partition, Function<Store, T> reader);

  /**
   * Returns log time at the last record that was folded.
   *
   * @param partition input partition
   * @return time of its log
   */
  LogTime now(int partition);
}
