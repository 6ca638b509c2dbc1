package dev.lockstep.lock.internal.client;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.ForceReleased;
import dev.lockstep.schema.lock.GrantedPart;
import dev.lockstep.schema.lock.LatchReply;
import dev.lockstep.schema.lock.ModeReply;
import dev.lockstep.schema.lock.ReleaseReply;
import dev.lockstep.schema.lock.RevokeAsked;
import dev.lockstep.schema.lock.SessionExpired;
import dev.lockstep.schema.lock.SessionOk;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What the service's answers do to sessions, leases and whoever waits. Each may come twice.
 * Thread-safe.
 */
final class Hearing {

  private static final Logger LOG = LoggerFactory.getLogger(Hearing.class);

  private final Map<Integer, PartitionSession> sessions;
  private final Questions questions;
  private final Tally tally;
  private final Consumer<Granted> giveBack;

  /**
   * @param sessions by lock partition
   * @param giveBack releases what is left of a lease
   */
  Hearing(
      Map<Integer, PartitionSession> sessions,
      Questions questions,
      Tally tally,
      Consumer<Granted> giveBack) {
    this.sessions = sessions;
    this.questions = questions;
    this.tally = tally;
    this.giveBack = giveBack;
  }

  /**
   * The log decides, so a Release that stands there while the session lives has freed the lock: no
   * answer is needed. In jeopardy it is not known whether the session lives.
   */
  void releaseAppended(PartitionSession session, Ticket release) {
    switch (session.releaseAppended(release)) {
      case SAFE -> released(release);
      case LOST -> questions.answer(release.owner(), release.number(), null);
      case JEOPARDY -> {}
    }
  }

  private void released(Ticket release) {
    questions.answer(
        release.owner(),
        release.number(),
        new ReleaseReply(release.owner(), release.number(), true));
  }

  void heard(Object reply) {
    if (reply instanceof AcquireReply acquired) {
      acquired(acquired);
    } else if (reply instanceof ReleaseReply released) {
      questions.answer(released.getOwner(), released.getNumber(), released);
    } else if (reply instanceof ModeReply changed) {
      questions.answer(changed.getOwner(), changed.getNumber(), changed);
    } else if (reply instanceof LatchReply latch) {
      questions.answer(latch.getId(), 0, latch);
    } else if (reply instanceof SessionOk ok) {
      PartitionSession session = sessions.get(ok.getPartition());
      if (session != null) {
        heardOf(session, session.beatAnswered(ok.getSession(), ok.getBeat()));
      }
    } else if (reply instanceof SessionExpired expired) {
      expire(sessions.get(expired.getPartition()), expired.getSession());
    } else if (reply instanceof ForceReleased forced) {
      forced(forced);
    } else if (reply instanceof RevokeAsked asked) {
      revokeAsked(asked);
    }
  }

  private void acquired(AcquireReply reply) {
    PartitionSession session = sessions.get(reply.getPartition());
    if (session == null) {
      return;
    }
    PendingAcquire pending = session.answered(reply.getOwner(), reply.getNumber());
    if (pending != null) {
      for (GrantedPart earlier : reply.getEarlier()) {
        prolonged(sessions.get(earlier.getPartition()), earlier.getOwner(), pending);
      }
      // a denied one is no sign of life: the service has not looked at the session
      if (reply.getOutcome() != AcquireOutcome.DENIED
          && reply.getOutcome() != AcquireOutcome.SESSION_EXPIRED) {
        prolonged(session, reply.getOwner(), pending);
      }
      pending.answer().complete(reply);
    }
    if (reply.getOutcome() == AcquireOutcome.SESSION_EXPIRED) {
      expire(session, reply.getOwner());
    }
  }

  private void prolonged(@Nullable PartitionSession session, String owner, PendingAcquire pending) {
    if (session != null) {
      heardOf(session, session.prolongedBy(owner, pending.sentAt()));
    }
  }

  private void heardOf(PartitionSession session, boolean endedJeopardy) {
    if (endedJeopardy) {
      session.grants().forEach(Granted::changed);
    }
    session.takeReleases().forEach(this::released);
  }

  private void expire(@Nullable PartitionSession session, String owner) {
    if (session == null || !session.owner().equals(owner)) {
      return;
    }
    PartitionSession.Ended ended = session.end();
    tally.lost(ended.held().size());
    ended.held().forEach(Granted::changed);
    ended.releases().forEach(r -> questions.answer(r.owner(), r.number(), null));
    ended
        .pending()
        .forEach(
            p ->
                p.answer()
                    .completeExceptionally(
                        new Acquisition.SessionEndedException(
                            "Session ended while waiting for " + p.keys())));
  }

  /** One key is gone, so the lease is: the keys that were granted with it are given back. */
  private void forced(ForceReleased forced) {
    Granted grant = held(forced.getPartition(), forced.getOwner(), forced.getNumber());
    if (grant != null) {
      LOG.warn("Lock on '{}' was taken away by {}", forced.getKey(), forced.getBy());
      tally.lost(1);
      giveBack.accept(grant);
      grant.changed();
    }
  }

  private void revokeAsked(RevokeAsked asked) {
    Granted grant = held(asked.getPartition(), asked.getOwner(), asked.getNumber());
    if (grant != null) {
      grant.revokeAsked(
          new Lease.Revocation(
              asked.getKey(),
              asked.getBy(),
              asked.getGraceMillis() < 0
                  ? Optional.empty()
                  : Optional.of(Duration.ofMillis(asked.getGraceMillis()))));
    }
  }

  private @Nullable Granted held(int partition, String owner, long number) {
    PartitionSession session = sessions.get(partition);
    if (session != null) {
      for (Granted grant : session.grants()) {
        if (grant.owner().equals(owner) && grant.number() == number) {
          return grant;
        }
      }
    }
    return null;
  }
}
