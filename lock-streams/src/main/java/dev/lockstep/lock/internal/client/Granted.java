package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Keys of one partition that were granted by one Acquire. Thread-safe. */
final class Granted {

  private final Part part;
  private volatile long token;
  private volatile long keepFreeMillis;
  private volatile @Nullable GrantedLease lease;

  Granted(Part part, long token) {
    this.part = part;
    this.token = token;
  }

  Part part() {
    return part;
  }

  PartitionSession session() {
    return part.session();
  }

  String owner() {
    return part.ticket().owner();
  }

  long number() {
    return part.ticket().number();
  }

  long token() {
    return token;
  }

  /** How long its keys are kept free when it is given back. */
  long keepFreeMillis() {
    return keepFreeMillis;
  }

  void keepFree(long millis) {
    keepFreeMillis = millis;
  }

  /** It is held in another mode, under this token. */
  void renew(long value) {
    token = value;
  }

  List<String> keys() {
    return part.keys();
  }

  Lease.State state() {
    return session().state(part.ticket());
  }

  void observe(GrantedLease observer) {
    lease = observer;
  }

  /** Its state may have changed; what it is now is read by the lease. */
  void changed() {
    GrantedLease observer = lease;
    if (observer != null) {
      observer.refresh();
    }
  }

  /** Somebody wants one of its keys back. */
  void revokeAsked(Lease.Revocation revocation) {
    GrantedLease observer = lease;
    if (observer != null) {
      observer.revokeAsked(revocation);
    }
  }
}
