package dev.lockstep.lock.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.kernel.InputPlan;
import dev.lockstep.lock.LockTopics;
import dev.lockstep.schema.LockSchemas;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.Partitions;
import dev.lockstep.schema.lock.AcquireOutcome;
import dev.lockstep.schema.lock.AcquireReply;
import dev.lockstep.schema.lock.Cancel;
import dev.lockstep.schema.lock.CloseSession;
import dev.lockstep.schema.lock.Granted;
import dev.lockstep.schema.lock.KeepAlive;
import dev.lockstep.schema.lock.Release;
import dev.lockstep.schema.lock.Released;
import dev.lockstep.testkit.machine.VirtualPartition;
import dev.lockstep.testkit.machine.VirtualPartition.Effect;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** One request for keys of two partitions; what goes from one to the other is carried by hand. */
class LockTravelTest {

  private static final LockstepConfig CONFIG = LockstepConfig.of("unused:1");
  private static final InputPlan PLAN = LockTopics.plan(CONFIG, 2, List.of());
  private static final String A = keyIn(0);
  private static final String B = keyIn(1);

  private final List<VirtualPartition> logs =
      List.of(
          new VirtualPartition(LockTopics.machine(CONFIG), 0, PLAN),
          new VirtualPartition(LockTopics.machine(CONFIG), 1, PLAN));
  private final Deque<Effect> under = new ArrayDeque<>();

  private static String keyIn(int partition) {
    for (char c = 'a'; ; c++) {
      if (Partitions.of("key-" + c, 2) == partition) {
        return "key-" + c;
      }
    }
  }

  /** The client opens its session where the request will come to later. */
  @BeforeEach
  void open() {
    send(1, new KeepAlive("c.1", 1L, Ask.TTL, Ask.REPLY));
  }

  /** Appends a record; what its effects want in the other partition is under way then. */
  private List<Object> send(int partition, Object record) {
    return collect(logs.get(partition).send(record));
  }

  private List<Object> collect(List<Effect> effects) {
    List<Object> seen = new ArrayList<>();
    for (Effect effect : effects) {
      if (effect.topic().equals(LockSchemas.COMMANDS)) {
        under.add(effect);
      } else {
        seen.add(effect.value());
      }
    }
    return seen;
  }

  /** Appends what is under way. */
  private List<Object> arrive() {
    List<Object> seen = new ArrayList<>();
    while (!under.isEmpty()) {
      Effect next = under.poll();
      seen.addAll(send(next.partition(), next.value()));
    }
    return seen;
  }

  private static Ask both() {
    return Ask.of("c", 1, A).then(1, 1, B);
  }

  private static <T> List<T> of(List<Object> seen, Class<T> type) {
    return seen.stream().filter(type::isInstance).map(type::cast).toList();
  }

  private long hold(int partition, String owner, String key) {
    return of(send(partition, Ask.of(owner, 1, key).ttl(60_000).now()), AcquireReply.class)
        .get(0)
        .getToken();
  }

  @Test
  void isAnsweredOnceByTheLastPartition() {
    List<Object> first = send(0, both().now());
    List<Object> last = arrive();

    assertThat(of(first, AcquireReply.class)).isEmpty();
    assertThat(of(first, Granted.class)).extracting(Granted::getKey).containsExactly(A);
    AcquireReply reply = of(last, AcquireReply.class).get(0);
    assertThat(reply.getOutcome()).isEqualTo(AcquireOutcome.GRANTED);
    assertThat(reply.getOwner()).isEqualTo("c.1");
    assertThat(reply.getEarlier()).hasSize(1);
    assertThat(reply.getEarlier().get(0).getToken())
        .isEqualTo(of(first, Granted.class).get(0).getToken());
  }

  @Test
  void repeatedCommandTravelsAgainAndIsAnsweredAgain() {
    send(0, both().now());
    AcquireReply reply = of(arrive(), AcquireReply.class).get(0);

    assertThat(of(send(0, both().now()), Granted.class)).isEmpty();
    assertThat(arrive()).containsExactly(reply);
  }

  @Test
  void timeoutAtTheLastFreesTheFirst() {
    hold(1, "other", B);
    send(0, both().waiting(1_000).now());
    assertThat(arrive()).isEmpty();

    List<Object> seen = collect(logs.get(1).advance(Duration.ofMillis(1_200)));
    List<Object> freed = arrive();

    assertThat(of(seen, AcquireReply.class).get(0).getOutcome())
        .isEqualTo(AcquireOutcome.TIMED_OUT);
    assertThat(of(freed, Released.class)).extracting(Released::getKey).containsExactly(A);
  }

  @Test
  void tryThatFindsTheLastTakenFreesTheFirst() {
    hold(1, "other", B);
    send(0, both().waiting(0).now());

    List<Object> seen = arrive();

    assertThat(of(seen, AcquireReply.class).get(0).getOutcome())
        .isEqualTo(AcquireOutcome.TIMED_OUT);
    assertThat(of(seen, Released.class)).extracting(Released::getKey).containsExactly(A);
  }

  /** Execution L4 of the kernel review. */
  @Test
  void sessionThatEndedAtTheLastFreesTheFirst() {
    send(1, new CloseSession("c.1"));
    send(0, both().now());

    List<Object> seen = arrive();

    assertThat(of(seen, AcquireReply.class).get(0).getOutcome())
        .isEqualTo(AcquireOutcome.SESSION_EXPIRED);
    assertThat(of(seen, Released.class)).extracting(Released::getKey).containsExactly(A);
  }

  /** The client sends its Cancel everywhere; there it may come before what it cancels. */
  @Test
  void cancelThatComesFirstIsRemembered() {
    send(0, both().now());
    send(0, new Cancel("c", 2L, 1L, 1L));
    send(1, new Cancel("c.1", 2L, 1L, 1L));

    List<Object> seen = arrive();

    assertThat(of(seen, Granted.class)).isEmpty();
    assertThat(of(seen, AcquireReply.class).get(0).getOutcome())
        .isEqualTo(AcquireOutcome.CANCELLED);
    assertThat(hold(1, "other", B)).isPositive();
    assertThat(hold(0, "other", A)).isPositive();
  }

  @Test
  void whatItsClientHasForgottenIsNotGranted() {
    send(0, both().now());
    send(1, Ask.of("c.1", 5, B).lowestUnanswered(5).now());

    assertThat(of(arrive(), Granted.class)).isEmpty();
    assertThat(hold(0, "other", A)).as("given back").isPositive();
  }

  @Test
  void nothingIsLeftOfItWhenItIsOver() {
    send(0, both().now());
    AcquireReply reply = of(arrive(), AcquireReply.class).get(0);

    send(
        0,
        new Release("c", 2L, 1L, 1L, reply.getEarlier().get(0).getToken(), 0L, false, Ask.REPLY));
    send(1, new Release("c.1", 2L, 1L, 1L, reply.getToken(), 0L, false, Ask.REPLY));
    send(0, new CloseSession("c"));
    send(1, new CloseSession("c.1"));
    logs.forEach(log -> log.advance(Duration.ofMinutes(3)));

    assertThat(logs).allSatisfy(log -> assertThat(log.machineRows()).isZero());
  }
}
