package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Keys of one partition that were granted by one Acquire. Thread-safe. */
final class Granted {

  private static final Logger LOG = LoggerFactory.getLogger(Granted.class);

  private final PartitionSession session;
  private final PartitionSession.Ticket ticket;
  private final long token;
  private final List<String> keys;
  private final Callbacks callbacks;
  private final List<Consumer<Lease.State>> listeners = new ArrayList<>();
  private final Deque<Runnable> calls = new ArrayDeque<>();
  private Lease.State last = Lease.State.SAFE;
  private boolean calling;

  Granted(
      PartitionSession session,
      PartitionSession.Ticket ticket,
      long token,
      List<String> keys,
      Callbacks callbacks) {
    this.session = session;
    this.ticket = ticket;
    this.token = token;
    this.keys = keys;
    this.callbacks = callbacks;
  }

  PartitionSession session() {
    return session;
  }

  String owner() {
    return ticket.owner();
  }

  long number() {
    return ticket.number();
  }

  long token() {
    return token;
  }

  List<String> keys() {
    return keys;
  }

  /** A listener that comes late is told at once what it has missed. */
  synchronized void onChange(Consumer<Lease.State> listener) {
    listeners.add(listener);
    if (last != Lease.State.SAFE) {
      call(listener, last);
    }
  }

  synchronized void changed(Lease.State state) {
    last = state;
    listeners.forEach(listener -> call(listener, state));
  }

  Lease.State state() {
    return session.state(ticket);
  }

  private void call(Consumer<Lease.State> listener, Lease.State state) {
    calls.add(
        () -> {
          try {
            listener.accept(state);
          } catch (RuntimeException e) {
            LOG.error("A listener of the lease on {} failed at {}", keys, state, e);
          }
        });
    if (!calling) {
      calling = true;
      callbacks.run(this::callInOrder);
    }
  }

  /** One call after the other: LOST must not overtake JEOPARDY. */
  private void callInOrder() {
    while (true) {
      Runnable next;
      synchronized (this) {
        next = calls.poll();
        if (next == null) {
          calling = false;
          return;
        }
      }
      next.run();
    }
  }
}
