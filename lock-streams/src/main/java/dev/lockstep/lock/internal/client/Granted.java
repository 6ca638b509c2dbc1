package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Keys of one partition that were granted by one Acquire. */
final class Granted {

  private static final Logger LOG = LoggerFactory.getLogger(Granted.class);

  private final PartitionSession session;
  private final String owner;
  private final long number;
  private final long token;
  private final List<String> keys;
  private final List<Consumer<Lease.State>> listeners = new CopyOnWriteArrayList<>();

  Granted(PartitionSession session, String owner, long number, long token, List<String> keys) {
    this.session = session;
    this.owner = owner;
    this.number = number;
    this.token = token;
    this.keys = keys;
  }

  PartitionSession session() {
    return session;
  }

  String owner() {
    return owner;
  }

  long number() {
    return number;
  }

  long token() {
    return token;
  }

  List<String> keys() {
    return keys;
  }

  void onChange(Consumer<Lease.State> listener) {
    listeners.add(listener);
  }

  void changed(Lease.State state) {
    for (Consumer<Lease.State> listener : listeners) {
      try {
        listener.accept(state);
      } catch (RuntimeException e) {
        // the thread that calls it watches every other lease as well
        LOG.error("A listener of the lease on {} failed at {}", keys, state, e);
      }
    }
  }

  Lease.State state() {
    return session.owner().equals(owner) ? session.state(number) : Lease.State.LOST;
  }
}
