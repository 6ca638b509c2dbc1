package dev.lockstep.kernel;

/**
 * A pure state machine over one input partition.
 *
 * <p>A decision depends on the {@link Turn} and nothing else: no clock, randomness, hash order,
 * local setting or field of the machine that a turn changed. The same log gives the same state and
 * the same effects on every instance and every day; the kernel announces effects before the state
 * is committed and relies on it (decision 0001).
 *
 * <p>Threads: one turn at a time per partition; one machine object serves one partition.
 */
public interface Machine {

  /**
   * Applies one record, or lets time pass.
   *
   * <p>All that is due at {@link Turn#now()} must happen first, on every record and not on ticks
   * alone.
   *
   * @param turn the record, the time, the state and where effects go
   * @throws RejectedInputException when the record breaks a rule of the domain; what this turn
   *     wrote is undone and the record goes to the rejected topic
   */
  void apply(Turn turn) throws RejectedInputException;

  /**
   * Says when time matters next; asked after each record.
   *
   * @param store state after the turn, read only
   * @return earliest deadlines, or {@link Deadlines#NONE}
   */
  Deadlines deadlines(Store store);
}
