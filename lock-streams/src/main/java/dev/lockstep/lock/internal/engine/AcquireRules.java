package dev.lockstep.lock.internal.engine;

import dev.lockstep.kernel.RejectedInputException;
import dev.lockstep.kernel.Turn;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.kernel.Destination;
import dev.lockstep.schema.lock.Acquire;
import dev.lockstep.schema.lock.AcquirePart;
import dev.lockstep.schema.lock.LockMode;
import dev.lockstep.schema.lock.ReplyTo;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What a command must be like. Bounds come from the Layout. */
final class AcquireRules {

  private static final int NAME_LIMIT = 256;
  private static final int CAPACITY_LIMIT = 1_000_000_000;

  /** Whole numbers up to here are exact in every language, JavaScript included. */
  private static final long NUMBER_LIMIT = (1L << 53) - 1;

  private AcquireRules() {}

  /** Returns what is wrong with a request; null: nothing. */
  static @Nullable String fault(Turn turn, Acquire acquire) {
    String fault = numberFault(acquire.getNumber(), acquire.getLowestUnanswered());
    if (fault == null) {
      fault = timeFault(turn, acquire);
    }
    if (fault == null) {
      fault = modeFault(acquire);
    }
    if (fault == null) {
      fault = keyFault(turn, acquire.getKeys(), turn.partition());
    }
    return fault == null ? restFault(turn, acquire) : fault;
  }

  private static @Nullable String numberFault(long number, long lowestUnanswered) {
    if (number < 1 || number > NUMBER_LIMIT) {
      return "Number must be 1 to %d, is %d".formatted(NUMBER_LIMIT, number);
    }
    if (lowestUnanswered > number) {
      return "Lowest unanswered number is %d, above this one, which is %d"
          .formatted(lowestUnanswered, number);
    }
    return null;
  }

  private static @Nullable String timeFault(Turn turn, Acquire acquire) {
    if (acquire.getTtlMillis() != 0 && ttlFault(turn, acquire.getTtlMillis()) != null) {
      return ttlFault(turn, acquire.getTtlMillis());
    }
    long longest = turn.limit("lock.delay.max.ms", 60_000);
    if (acquire.getDelayMillis() < 0 || acquire.getDelayMillis() > longest) {
      return "Lock-delay must be 0 to %d ms, is %d ms".formatted(longest, acquire.getDelayMillis());
    }
    return null;
  }

  /** Returns what is wrong with the keys of a request that was taken before; null: nothing. */
  static @Nullable String placeFault(Turn turn, Acquire acquire) {
    if (acquire.getKeys().isEmpty()) {
      return "A lease has at least 1 key";
    }
    for (String key : acquire.getKeys()) {
      int home = Partitions.of(key, turn.layout().getPartitions());
      if (home != turn.partition()) {
        return "Key '%s' lives in partition %d, not in %d".formatted(key, home, turn.partition());
      }
    }
    return null;
  }

  /** Returns what is wrong with the name of a key, or where it was sent; null: nothing. */
  static @Nullable String keyFault(Turn turn, String key) {
    return keyFault(turn, List.of(key), turn.partition());
  }

  /** Returns what is wrong with the time to live of a session; null: nothing. */
  static @Nullable String ttlFault(Turn turn, long millis) {
    long shortest = 10L * turn.layout().getTickMillis();
    long longest = turn.limit("lock.ttl.max.ms", 3_600_000);
    return millis >= shortest && millis <= longest
        ? null
        : "Time to live must be 10 ticks (%d ms) to %d ms, is %d ms"
            .formatted(shortest, longest, millis);
  }

  private static @Nullable String modeFault(Acquire acquire) {
    int capacity = acquire.getCapacity();
    int permits = acquire.getPermits();
    if (acquire.getMode() != LockMode.PERMITS) {
      if (capacity != 0 || permits != 0) {
        return "%s names %d permits of %d: both must be 0"
            .formatted(acquire.getMode(), permits, capacity);
      }
    } else if (capacity < 1 || capacity > CAPACITY_LIMIT || permits < 1 || permits > capacity) {
      return "Permits must be 1 to the capacity, and that 1 to %d: they are %d of %d"
          .formatted(CAPACITY_LIMIT, permits, capacity);
    }
    if (acquire.getPriority() < 0 || acquire.getPriority() > Request.HIGHEST_PRIORITY) {
      return "Priority must be 0 to %d, is %d"
          .formatted(Request.HIGHEST_PRIORITY, acquire.getPriority());
    }
    if (acquire.getOnBehalfOf().length() > NAME_LIMIT) {
      return "On-behalf-of has up to %d characters, this one %d"
          .formatted(NAME_LIMIT, acquire.getOnBehalfOf().length());
    }
    if (acquire.getTask().length() > NAME_LIMIT) {
      return "Task has up to %d characters, this one %d"
          .formatted(NAME_LIMIT, acquire.getTask().length());
    }
    return null;
  }

  private static @Nullable String keyFault(Turn turn, List<String> keys, int partition) {
    long most = turn.limit("lock.keys.per.request", 1_000);
    if (keys.isEmpty() || keys.size() > most) {
      return "A request has 1 to %d keys, this one has %d".formatted(most, keys.size());
    }
    for (int i = 1; i < keys.size(); i++) {
      if (keys.get(i - 1).compareTo(keys.get(i)) >= 0) {
        return "Keys must be sorted and each named once";
      }
    }
    for (String key : keys) {
      if (key.isEmpty() || key.length() > NAME_LIMIT || key.indexOf('\0') >= 0) {
        return "A key has 1 to %d characters and no NUL, one has %d"
            .formatted(NAME_LIMIT, key.length());
      }
      int home = Partitions.of(key, turn.layout().getPartitions());
      if (home != partition) {
        return "Key '%s' lives in partition %d, was asked for in %d"
            .formatted(key, home, partition);
      }
    }
    return null;
  }

  private static @Nullable String restFault(Turn turn, Acquire acquire) {
    if (acquire.getRest().isEmpty()) {
      return null;
    }
    if (acquire.getTtlMillis() == 0) {
      return "A lease without time to live asks partition by partition: nobody would free its parts";
    }
    if (destination(turn, turn.layout().getTopic()) == null) {
      return "Requests do not travel from partition to partition: the Layout does not list '%s'"
          .formatted(turn.layout().getTopic());
    }
    long keys = acquire.getKeys().size();
    int before = turn.partition();
    for (AcquirePart part : acquire.getRest()) {
      if (part.getPartition() <= before) {
        return "Partitions must rise: %d follows %d".formatted(part.getPartition(), before);
      }
      before = part.getPartition();
      String fault = numberFault(part.getNumber(), part.getLowestUnanswered());
      if (fault == null && nameFault("Owner", part.getOwner()) != null) {
        fault = nameFault("Owner", part.getOwner());
      }
      if (fault == null) {
        fault = keyFault(turn, part.getKeys(), part.getPartition());
      }
      if (fault != null) {
        return "Part for partition %d: %s".formatted(part.getPartition(), fault);
      }
      keys += part.getKeys().size();
    }
    long most = turn.limit("lock.keys.per.request", 1_000);
    return keys > most ? "A request has 1 to %d keys, this one has %d".formatted(most, keys) : null;
  }

  static void requireAnswerable(Turn turn, ReplyTo to) throws RejectedInputException {
    if (to.getTopic().isEmpty()) {
      return;
    }
    Destination destination = destination(turn, to.getTopic());
    if (destination == null) {
      throw new RejectedInputException(
          "Reply topic '%s' is not a destination of the Layout".formatted(to.getTopic()));
    }
    if (to.getPartition() >= destination.getPartitions()) {
      throw new RejectedInputException(
          "Reply partition %d of '%s' does not exist: the Layout gives it %d"
              .formatted(to.getPartition(), to.getTopic(), destination.getPartitions()));
    }
  }

  static void requireName(String what, String name) throws RejectedInputException {
    String fault = nameFault(what, name);
    if (fault != null) {
      throw new RejectedInputException(fault);
    }
  }

  private static @Nullable String nameFault(String what, String name) {
    return name.isEmpty() || name.length() > NAME_LIMIT || name.indexOf('\0') >= 0
        ? "%s must have 1 to %d characters and no NUL, has %d"
            .formatted(what, NAME_LIMIT, name.length())
        : null;
  }

  private static @Nullable Destination destination(Turn turn, String topic) {
    for (Destination destination : turn.layout().getDestinations()) {
      if (destination.getTopic().equals(topic)) {
        return destination;
      }
    }
    return null;
  }
}
