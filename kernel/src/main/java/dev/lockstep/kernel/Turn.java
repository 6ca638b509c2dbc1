package dev.lockstep.kernel;

import dev.lockstep.schema.kernel.Layout;

/** One record and everything that a decision about it may depend on. */
public interface Turn {

  /**
   * Returns the record.
   *
   * @return value of a type in the machine's catalog, or a {@link dev.lockstep.schema.kernel.Tick}
   */
  Object input();

  /**
   * Returns the record's offset: the source of tokens and ids.
   *
   * @return offset in the input partition
   */
  long offset();

  /**
   * Returns the partition.
   *
   * @return input partition
   */
  int partition();

  /**
   * Returns the time of this record.
   *
   * @return log time
   */
  LogTime now();

  /**
   * Returns the Layout in force.
   *
   * @return bounds, limits, destinations
   */
  Layout layout();

  /**
   * Returns a bound of the machine.
   *
   * @param name name in the Layout's limits
   * @param otherwise value when the Layout does not name it
   * @return the bound
   */
  default long limit(String name, long otherwise) {
    Long value = layout().getLimits().get(name);
    return value == null ? otherwise : value;
  }

  /**
   * Returns the state.
   *
   * @return rows of this partition
   */
  Store store();

  /**
   * Returns the collector of effects.
   *
   * @return what to announce
   */
  Effects effects();
}
