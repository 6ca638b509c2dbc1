package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** When a lease counts as safe: a session of 10 s with ticks of 100 ms, so 9.7 s from a send. */
class PartitionSessionTest {

  private long nanos = Long.MAX_VALUE - TimeUnit.SECONDS.toNanos(15); // wraps during the tests
  private final PartitionSession session = new PartitionSession("c", 3, 10_000, 100, () -> nanos);

  private void pass(long millis) {
    nanos += TimeUnit.MILLISECONDS.toNanos(millis);
  }

  private Ticket open() {
    return session.open(new PendingAcquire(List.of("k"), nanos, new CompletableFuture<>()));
  }

  private Granted grantAt(long sentAt, Ticket ticket) {
    PendingAcquire pending = session.answered(ticket.owner(), ticket.number());
    assertThat(pending).isNotNull();
    session.prolongedBy(ticket.owner(), sentAt);
    Granted grant = new Granted(new Part(session, ticket, List.of("k")), 17);
    assertThat(session.hold(grant)).isTrue();
    return grant;
  }

  @Test
  void isSafeFromTheSendOfTheAcquireForLessThanItsTimeToLive() {
    long sentAt = nanos;
    Ticket ticket = open();
    pass(1_000);
    Granted grant = grantAt(sentAt, ticket);

    pass(8_699);
    assertThat(grant.state()).isEqualTo(Lease.State.SAFE);
    assertThat(session.fellIntoJeopardy()).isFalse();
    pass(1);

    assertThat(grant.state()).isEqualTo(Lease.State.JEOPARDY);
    assertThat(session.fellIntoJeopardy()).isTrue();
    assertThat(session.fellIntoJeopardy()).isFalse();
  }

  /** Beats count from 1 in each session: the first one opens it. */
  @Test
  void lateWordOfAnEarlierSessionsBeatSaysNothingOfThisOne() {
    Granted grant = grantAt(nanos, open());
    Ticket earlier = session.nextBeat();
    session.end();
    Granted next = grantAt(nanos, open());
    pass(5_000);
    Ticket beat = session.nextBeat();
    assertThat(beat.number()).isEqualTo(earlier.number());

    session.beatAppended(earlier.owner(), earlier.number());
    pass(4_900);

    assertThat(grant.state()).isEqualTo(Lease.State.LOST);
    assertThat(next.state()).isEqualTo(Lease.State.JEOPARDY);
  }

  /** A denied Acquire is answered, and prolongs nothing: its send must not count. */
  @Test
  void anUnansweredOrDeniedAcquireProlongsNothing() {
    Granted grant = grantAt(nanos, open());
    pass(9_000);

    Ticket denied = open();
    session.answered(denied.owner(), denied.number());
    pass(700);

    assertThat(grant.state()).isEqualTo(Lease.State.JEOPARDY);
  }

  @Test
  void aBeatInTheLogProlongsOnlyWhileSafe() {
    Granted grant = grantAt(nanos, open());
    pass(5_000);
    Ticket first = session.nextBeat();
    session.beatAppended(first.owner(), first.number());
    pass(9_699);
    assertThat(grant.state()).isEqualTo(Lease.State.SAFE);
    Ticket second = session.nextBeat();
    pass(1);

    // its acknowledgement comes too late to know whether the session had ended before
    session.beatAppended(second.owner(), second.number());
    assertThat(grant.state()).isEqualTo(Lease.State.JEOPARDY);
    session.fellIntoJeopardy();

    assertThat(session.beatAnswered(second.owner(), second.number())).isTrue();
    assertThat(grant.state()).isEqualTo(Lease.State.SAFE);
  }

  @Test
  void anAnswerThatIsTooOldEndsNoJeopardy() {
    Granted grant = grantAt(nanos, open());
    Ticket beat = session.nextBeat();
    pass(9_700);
    session.fellIntoJeopardy();

    assertThat(session.beatAnswered(beat.owner(), beat.number())).isFalse();
    assertThat(grant.state()).isEqualTo(Lease.State.JEOPARDY);
  }

  /** An answer that helps nothing must not hide that the deadline has passed. */
  @Test
  void jeopardyIsToldEvenIfAnOldAnswerComesFirst() {
    grantAt(nanos, open());
    Ticket beat = session.nextBeat();
    session.beatAppended(beat.owner(), beat.number());
    pass(9_700);

    assertThat(session.beatAnswered(beat.owner(), beat.number())).isFalse();

    assertThat(session.fellIntoJeopardy()).isTrue();
  }

  @Test
  void nothingOfAnEndedSessionCountsForTheNext() {
    Ticket old = open();
    Granted grant = grantAt(nanos, old);
    Ticket beat = session.nextBeat();

    session.end();

    assertThat(grant.state()).isEqualTo(Lease.State.LOST);
    assertThat(session.beatAnswered(beat.owner(), beat.number())).isFalse();
    assertThat(session.prolongedBy(old.owner(), nanos)).isFalse();
    assertThat(session.next(old.owner())).isNull();
    assertThat(session.hold(grant)).isFalse();
    Ticket next = open();
    assertThat(next.number()).isEqualTo(1);
    assertThat(next.owner()).isEqualTo("c.3.2");
  }

  @Test
  void lowestUnansweredStaysBehindTheOldestWaiter() {
    Ticket waiting = open();
    Ticket second = open();
    session.answered(second.owner(), second.number());

    assertThat(open().lowestUnanswered()).isEqualTo(waiting.number());
    session.answered(waiting.owner(), waiting.number());
    assertThat(open().lowestUnanswered()).isEqualTo(3);
  }

  @Test
  void releaseThatWasAppendedWhileSafeIsCertain() {
    Ticket ticket = open();
    grantAt(nanos, ticket);
    session.drop(ticket.owner(), ticket.number());
    Ticket release = session.next(ticket.owner());
    pass(9_699);

    assertThat(session.releaseAppended(release)).isEqualTo(Lease.State.SAFE);
    assertThat(session.isInUse()).isFalse();
  }

  /** Beats go on, or nobody would ever know. */
  @Test
  void releaseThatWasAppendedInJeopardyIsCertainWhenTheSessionIsSafeAgain() {
    Ticket ticket = open();
    grantAt(nanos, ticket);
    session.drop(ticket.owner(), ticket.number());
    Ticket release = session.next(ticket.owner());
    pass(9_700);

    assertThat(session.releaseAppended(release)).isEqualTo(Lease.State.JEOPARDY);
    assertThat(session.isInUse()).isTrue();
    assertThat(session.takeReleases()).isEmpty();
    Ticket beat = session.nextBeat();
    // nobody had looked, so nobody was told of a jeopardy, and nobody is told of its end
    assertThat(session.beatAnswered(beat.owner(), beat.number())).isFalse();
    assertThat(session.takeReleases()).containsExactly(release);
    assertThat(session.isInUse()).isFalse();
  }

  @Test
  void releaseThatWasAppendedInJeopardyIsLostWithItsSession() {
    Ticket ticket = open();
    grantAt(nanos, ticket);
    session.drop(ticket.owner(), ticket.number());
    Ticket release = session.next(ticket.owner());
    Ticket late = session.next(ticket.owner());
    pass(9_700);
    session.releaseAppended(release);

    assertThat(session.end().releases()).containsExactly(release);
    assertThat(session.releaseAppended(late)).isEqualTo(Lease.State.LOST);
  }
}
