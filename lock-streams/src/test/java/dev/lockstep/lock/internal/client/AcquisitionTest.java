package dev.lockstep.lock.internal.client;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.Lease;
import dev.lockstep.lock.LockException;
import dev.lockstep.lock.internal.client.PartitionSession.Ticket;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
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
          new TreeMap<>(Map.of(1, List.of("a"), 3, List.of("b", "c"))),
          Duration.ofMinutes(5));

  @Test
  void asksPartitionAfterPartition() throws Exception {
    CompletableFuture<Lease> lease = acquisition.start();
    assertThat(fake.sent).containsExactly("acquire 1 [a]");

    fake.answer(1, AcquireOutcome.GRANTED, 17);
    assertThat(fake.sent).containsExactly("acquire 1 [a]", "acquire 3 [b, c]");
    assertThat(lease).isNotDone();
    fake.answer(3, AcquireOutcome.GRANTED, 18);

    assertThat(lease.get().tokens()).isEqualTo(Map.of("a", 17L, "b", 18L, "c", 18L));
    assertThat(lease.get().state()).isEqualTo(Lease.State.SAFE);
    assertThat(fake.over).isEqualTo(1);
  }

  @Test
  void cancelledWaitGivesBackItsPlaceAndWhatItHas() {
    CompletableFuture<Lease> lease = acquisition.start();
    fake.answer(1, AcquireOutcome.GRANTED, 17);

    lease.cancel(false);

    assertThat(fake.sent.subList(2, 4)).containsExactly("cancel 3 #1", "release 1 #1");
    assertThat(fake.over).isEqualTo(1);
  }

  @Test
  void wayOutByTimeoutIsLikeACancel() {
    CompletableFuture<Lease> lease = acquisition.start();

    lease.completeExceptionally(new IllegalStateException("the caller has had enough"));

    assertThat(fake.sent).containsExactly("acquire 1 [a]", "cancel 1 #1");
  }

  /** An Acquire that was sent again after an outage stands in the log behind its Cancel. */
  @Test
  void grantBehindItsCancelIsGivenBack() {
    CompletableFuture<Lease> lease = acquisition.start();
    lease.cancel(false);

    fake.answer(1, AcquireOutcome.GRANTED, 17);

    assertThat(fake.sent).containsExactly("acquire 1 [a]", "cancel 1 #1", "cancel 1 #1");
  }

  @Test
  void deniedPartGivesBackTheOthers() {
    CompletableFuture<Lease> lease = acquisition.start();
    fake.answer(1, AcquireOutcome.GRANTED, 17);

    fake.answer(3, AcquireOutcome.DENIED, 0);

    assertThat(lease)
        .failsWithin(1, TimeUnit.SECONDS)
        .withThrowableOfType(ExecutionException.class)
        .havingCause()
        .withMessage("Locks on [a, b, c]: because");
    assertThat(fake.sent.get(2)).isEqualTo("release 1 #1");
  }

  @Test
  void sessionThatEndsMeanwhileBeginsAgain() throws Exception {
    CompletableFuture<Lease> lease = acquisition.start();
    fake.answer(1, AcquireOutcome.GRANTED, 17);

    fake.session(1).end();
    fake.answer(3, AcquireOutcome.GRANTED, 18);
    assertThat(lease).isNotDone();
    assertThat(fake.sent.get(fake.sent.size() - 1)).isEqualTo("release 3 #1");
    fake.runDelayed();
    fake.answer(1, AcquireOutcome.GRANTED, 27);
    fake.answer(3, AcquireOutcome.GRANTED, 28);

    assertThat(lease.get().tokens()).isEqualTo(Map.of("a", 27L, "b", 28L, "c", 28L));
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
    assertThat(fake.sent).containsExactly("acquire 1 [a]", "cancel 1 #1");
  }

  /** The last word of its listeners is what the whole lease is, not what one part is. */
  @Test
  void leaseThatLostAPartIsNeverSafeAgain() throws Exception {
    CompletableFuture<Lease> future = acquisition.start();
    fake.answer(1, AcquireOutcome.GRANTED, 17);
    fake.answer(3, AcquireOutcome.GRANTED, 18);
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
    private final Map<Integer, Ticket> asked = new HashMap<>();
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

    void answer(int partition, AcquireOutcome outcome, long token) {
      Ticket ticket = asked.get(partition);
      PendingAcquire pending = session(partition).answered(ticket.owner(), ticket.number());
      session(partition).prolongedBy(ticket.owner(), pending.sentAt());
      pending
          .answer()
          .complete(
              new AcquireReply(
                  ticket.owner(),
                  ticket.number(),
                  outcome,
                  token,
                  partition,
                  pending.keys(),
                  "because"));
    }

    @Override
    public PartitionSession session(int partition) {
      return sessions.computeIfAbsent(
          partition,
          p -> new PartitionSession("c", p, 10_000, 100, () -> System.nanoTime() + passed));
    }

    @Override
    public void sendAcquire(
        PartitionSession session, Ticket ticket, List<String> keys, long waitMillis) {
      asked.put(session.partition(), ticket);
      sent.add("acquire " + session.partition() + " " + keys);
    }

    @Override
    public void sendCancel(PartitionSession session, Ticket ticket, List<String> keys) {
      sent.add("cancel " + session.partition() + " #" + ticket.number());
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
