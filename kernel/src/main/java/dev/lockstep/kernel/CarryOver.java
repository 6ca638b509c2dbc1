package dev.lockstep.kernel;

import dev.lockstep.schema.kernel.CarriedRecord;
import dev.lockstep.schema.kernel.Layout;
import java.util.List;
import java.util.Map;

/** What of a machine's state goes over into the next epoch of its input topic. */
public interface CarryOver {

  /**
   * What the new log begins with.
   *
   * @param records they follow the first Layout of their partition, in this order
   * @param limits added to the limits of the first Layout
   */
  record Carried(List<CarriedRecord> records, Map<String, Long> limits) {

    /** Copies both. */
    public Carried {
      records = List.copyOf(records);
      limits = Map.copyOf(limits);
    }
  }

  /**
   * Decides it from the state at the end of the old log.
   *
   * @param current Layout of the old log
   * @param partitions of the new log
   * @param state of each partition, at the end of the old log
   * @return what goes over
   * @throws KernelException when something must not get lost and cannot go over; nothing has been
   *     changed then
   */
  Carried of(Layout current, int partitions, PartitionStates state);

  /**
   * Tells whether nobody misses an effect that is never announced: one of records behind what the
   * hosts have committed, which die with the old log.
   *
   * @param effect what a host would announce
   * @return false when no epoch may be started before a host has announced it
   */
  boolean mayBeMissed(Announcement effect);
}
