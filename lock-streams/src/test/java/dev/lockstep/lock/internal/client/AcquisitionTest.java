package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.GrantedPart;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** One call of acquire over partitions 1 and 3, with what the service answers played by hand. */
class AcquisitionTest {

  private final Fake fake = new Fake();
  private final Acquisition acquisition =
      new Acquisition(
          fake,
          List.of(new Wanted(1, List.of("a")), new Wanted(3, List.of("b", "c"))),
          Terms.EXCLUSIVE,
          Duration.ofMinutes(5),
          false);

  @Test
  void asksOnceForAllPartitions() throws Exception {
    CompletableFuture<Lease> lease = acquisition.start();
    assertThat(fake.sent).containsExactly("acquire 1[a] 3[b, c]");
    assertThat(lease).isNotDone();

    fake.grant(17, 18);

    assertThat(lease.get().tokens()).isEqualTo(Map.of("a", 17L, "b", 18L, "c", 18L));
    assertThat(lease.get().state()).isEqualTo(Lease.State.SAFE);
    assertThat(fake.sent).hasSize(1);
    assertThat(fake.over).isEqualTo(1);
  }

  @Test
  void cancelledWaitGivesBackItsPlaceWhereverItIs() {
    CompletableFuture<Lease> lease = acquisition.start();

    lease.cancel(false);

    assertThat(fake.sent.subList(1, 3)).containsExactly("cancel 1 #1", "cancel 3 #1");
    assertThat(fake.over).isEqualTo(1);
  }

  @Test
  void wayOutByTimeoutIsLikeACancel() {
    CompletableFuture<Lease> lease = acquisition.start();

    lease.completeExceptionally(new IllegalStateException("the caller has had enough"));

    assertThat(fake.sent.subList(1, 3)).containsExactly("cancel 1 #1", "cancel 3 #1");
  }

  /** An Acquire that was sent again after an outage stands in the log behind its Cancel. */
  @Test
  void grantBehindItsCancelIsGivenBack() {
    CompletableFuture<Lease> lease = acquisition.start();
    lease.cancel(false);

    fake.grant(17, 18);

    assertThat(fake.sent.subList(3, 5)).containsExactly("cancel 1 #1", "cancel 3 #1");
  }

  @Test
  void deniedPartEndsTheCallAndTheServiceGivesBackTheOthers() {
    CompletableFuture<Lease> lease = acquisition.start();

    fake.answer(3, AcquireOutcome.DENIED, 0, fake.earlier(17));

    assertThat(lease)
        .failsWithin(1, TimeUnit.SECONDS)
        .withThrowableOfType(ExecutionException.class)
        .havingCause()
        .withMessage("Locks on [a, b, c]: because");
    assertThat(fake.sent).hasSize(1);
    assertThat(fake.session(1).isInUse()).isFalse();
    assertThat(fake.session(3).isInUse()).isFalse();
  }

  /** Execution L4 of the kernel review: the first partition has freed its part meanwhile. */
  @Test
  void sessionThatEndsMeanwhileBeginsAgain() throws Exception {
    CompletableFuture<Lease> lease = acquisition.start();
    List<GrantedPart> before = fake.earlier(17);
    PartitionSession.Ended ended = fake.session(1).end();

    fake.answer(3, AcquireOutcome.GRANTED, 18, before);
    assertThat(ended.pending()).hasSize(1);
    assertThat(lease).isNotDone();
    assertThat(fake.sent.get(fake.sent.size() - 1)).isEqualTo("release 3 #1");
    fake.runDelayed();
    fake.grant(27, 28);

    assertThat(lease.get().tokens()).isEqualTo(Map.of("a", 27L, "b", 28L, "c", 28L));
  }

  @Test
  void sessionThatEndsBeforeTheAnswerGivesBackTheOthers() {
    acquisition.start();
    PartitionSession.Ended ended = fake.session(1).end();

    ended
        .pending()
        .forEach(
            p ->
                p.answer()
                    .completeExceptionally(new Acquisition.SessionEndedException("it ended")));

    assertThat(fake.sent.subList(1, 3)).containsExactly("cancel 1 #1", "cancel 3 #1");
    fake.runDelayed();
    assertThat(fake.sent.get(3)).isEqualTo("acquire 1[a] 3[b, c]");
  }

  @Test
  void silentServiceIsGivenUp() {
    CompletableFuture<Lease> lease = acquisition.start();

    fake.runDelayed();

    assertThat(lease)
        .failsWithin(1, TimeUnit.SECONDS)
        .withThrowableOfType(ExecutionException.class)
        .withCauseInstanceOf(LockException.class)
        .withMessageContaining("has not answered within PT5M30S; does it run? (no broker)");
    assertThat(fake.sent.subList(1, 3)).containsExactly("cancel 1 #1", "cancel 3 #1");
  }

  /** The last word of its listeners is what the whole lease is, not what one part is. */
  @Test
  void leaseThatLostAPartIsNeverSafeAgain() throws Exception {
    CompletableFuture<Lease> future = acquisition.start();
    fake.grant(17, 18);
    List<Lease.State> told = new ArrayList<>();
    future.get().onChange(told::add);

    fake.pass(Duration.ofSeconds(20));
    assertThat(fake.session(3).fellIntoJeopardy()).isTrue();
    fake.session(3).grants().forEach(Granted::changed);
    fake.session(1).end().held().forEach(Granted::changed);
    Ticket later = fake.session(3).nextBeat();
    assertThat(fake.session(3).beatAnswered(later.owner(), later.number())).isTrue();
    fake.session(3).grants().forEach(Granted::changed);

    assertThat(told).containsExactly(Lease.State.JEOPARDY, Lease.State.LOST);
    assertThat(future.get().state()).isEqualTo(Lease.State.LOST);
    List<Lease.State> late = new ArrayList<>();
    future.get().onChange(late::add);
    assertThat(late).containsExactly(Lease.State.LOST);
  }

  /** Notes what is sent; sessions are real, time and delays are moved by hand. */
  private static final class Fake implements Commands {

    private final List<String> sent = new ArrayList<>();
    private final Map<Integer, PartitionSession> sessions = new HashMap<>();
    private List<Part> asked = List.of();
    private final List<Runnable> delayed = new ArrayList<>();
    private final Callbacks callbacks = new Callbacks(Runnable::run);
    private long passed;
    private int over;

    void pass(Duration duration) {
      passed += duration.toNanos();
    }

    void runDelayed() {
      List<Runnable> tasks = List.copyOf(delayed);
      delayed.clear();
      // the latest first: the alarm for a silent service is set before everything else
      tasks.get(tasks.size() - 1).run();
    }

    /** The last partition grants, after the first. */
    void grant(long first, long last) {
      answer(3, AcquireOutcome.GRANTED, last, earlier(first));
    }

    List<GrantedPart> earlier(long token) {
      Ticket ticket = asked.get(0).ticket();
      return List.of(new GrantedPart(1, ticket.owner(), ticket.number(), token));
    }

    void answer(int partition, AcquireOutcome outcome, long token, List<GrantedPart> earlier) {
      Part part = asked.get(partition == 1 ? 0 : 1);
      Ticket ticket = part.ticket();
      PendingAcquire pending = part.session().answered(ticket.owner(), ticket.number());
      asked.forEach(p -> p.session().prolongedBy(p.ticket().owner(), pending.sentAt()));
      pending
          .answer()
          .complete(
              new AcquireReply(
                  ticket.owner(),
                  ticket.number(),
                  outcome,
                  token,
                  partition,
                  part.keys(),
                  earlier,
                  "because",
                  "",
                  0L,
                  -1,
                  0L));
    }

    PartitionSession session(int partition) {
      return sessions.computeIfAbsent(
          partition,
          p -> new PartitionSession("c", p, 10_000, 100, () -> System.nanoTime() + passed));
    }

    @Override
    public List<Part> acquire(
        List<Wanted> wanted, Terms terms, long waitMillis, PendingAcquire pending) {
      List<Part> parts = new ArrayList<>();
      StringBuilder text = new StringBuilder("acquire");
      for (Wanted part : wanted) {
        PartitionSession session = session(part.partition());
        parts.add(new Part(session, session.open(pending), part.keys()));
        text.append(" ").append(part.partition()).append(part.keys());
      }
      sent.add(text.toString());
      asked = parts;
      return parts;
    }

    @Override
    public void cancel(Part part) {
      sent.add("cancel " + part.partition() + " #" + part.ticket().number());
    }

    @Override
    public CompletableFuture<Long> change(Granted grant, boolean exclusive) {
      return CompletableFuture.completedFuture(99L);
    }

    @Override
    public CompletableFuture<Boolean> release(Granted grant) {
      grant.session().drop(grant.owner(), grant.number());
      sent.add("release " + grant.session().partition() + " #" + grant.number());
      return CompletableFuture.completedFuture(true);
    }

    @Override
    public Future<?> in(Duration delay, Runnable task) {
      delayed.add(task);
      return CompletableFuture.completedFuture(null);
    }

    @Override
    public void ended(Acquisition acquisition) {
      over++;
    }

    @Override
    public Callbacks callbacks() {
      return callbacks;
    }

    @Override
    public @Nullable String fault() {
      return "no broker";
    }
  }
}
