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
   * @param state reads each partition of the old log
   * @return what goes over
   * @throws KernelException when something must not get lost and cannot go over; nothing has been
   *     changed then
   */
  Carried of(Layout current, int partitions, Follower state);

  /**
   * Tells whether a record may stand behind what the hosts have folded: nothing of it is missed
   * when its effects are never announced. Ticks always may.
   *
   * @param record value of a record of the input topic
   * @return false when the epoch must not be started before it is folded
   */
  boolean mayBeLeft(byte[] record);
}
