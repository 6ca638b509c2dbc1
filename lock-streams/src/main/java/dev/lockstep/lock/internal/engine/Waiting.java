package dev.lockstep.lock.internal.engine;

import java.util.List;

/**
 * A key that is waited for, as a {@link WaitGraph} needs it. Read out of the state of one
 * partition; safe to keep.
 *
 * @param key lock key
 * @param capacity permits that it has
 * @param holders who holds permits of it, or has it offered until its other keys are free
 * @param queue who waits, in the order in which they are served
 */
public record Waiting(String key, int capacity, List<Holder> holders, List<Waiter> queue) {

  /**
   * What asks for one lock after the other.
   *
   * @param client whom answers go to, or who else sends requests
   * @param name name of the task there; empty: not known
   */
  record Task(String client, String name) {

    boolean isKnown() {
      return !name.isEmpty();
    }
  }

  /**
   * One who holds a key.
   *
   * @param id its request
   * @param task what asked
   * @param named whom people would ask about it
   * @param permits of the key
   * @param token of the grant; 0: offered
   */
  record Holder(RequestId id, Task task, String named, int permits, long token) {}

  /**
   * One who waits for a key.
   *
   * @param id its request
   * @param task what asks
   * @param named whom people would ask about it
   * @param permits of the key
   * @param priority 0 to 9
   * @param order offset of the request in its partition
   */
  record Waiter(RequestId id, Task task, String named, int permits, int priority, long order) {}
}
