package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Keys of one partition that were granted by one Acquire. Thread-safe. */
final class Granted {

  private final PartitionSession session;
  private final PartitionSession.Ticket ticket;
  private final long token;
  private final List<String> keys;
  private volatile @Nullable Runnable observer;

  Granted(PartitionSession session, PartitionSession.Ticket ticket, long token, List<String> keys) {
    this.session = session;
    this.ticket = ticket;
    this.token = token;
    this.keys = keys;
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

  Lease.State state() {
    return session.state(ticket);
  }

  void observe(Runnable lease) {
    observer = lease;
  }

  /** Its state may have changed; what it is now is read by the lease. */
  void changed() {
    Runnable lease = observer;
    if (lease != null) {
      lease.run();
    }
  }
}
