package dev.lockstep.testkit.saga;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.kernel.ImpureMachineException;
import dev.lockstep.kernel.MachineSpec;
import dev.lockstep.saga.ParticipantRef;
import dev.lockstep.saga.RetryPolicy;
import dev.lockstep.saga.Saga;
import dev.lockstep.saga.SagaTopics;
import dev.lockstep.schema.LockstepConfig;
import dev.lockstep.schema.saga.OperatorAction;
import dev.lockstep.testkit.machine.DoubleExecution;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.junit.jupiter.api.Test;

class SagaScenarioTest {

  record Order(String id, List<String> skus, String receipt) {}

  record Reserve(String id) {}

  record Release(String id) {}

  record Charge(String id) {}

  record Charged(String receipt) {}

  record Ship(String id, String receipt) {}

  private static final ParticipantRef STOCK = ParticipantRef.of("stock");
  private static final ParticipantRef BANK = ParticipantRef.of("bank");

  private static final Saga<Order> SAGA =
      Saga.named("order", Order.class)
          .step("reserve")
          .locking(Order::skus)
          .send(STOCK, o -> new Reserve(o.id()))
          .compensate(STOCK, o -> new Release(o.id()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 2))
          .within(Duration.ofSeconds(2))
          .pivot("charge")
          .send(BANK, o -> new Charge(o.id()))
          .on(Charged.class, (o, r) -> new Order(o.id(), o.skus(), r.receipt()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 1))
          .within(Duration.ofSeconds(2))
          .retriable("ship")
          .send(STOCK, o -> new Ship(o.id(), o.receipt()))
          .retrying(RetryPolicy.exponential(Duration.ofMillis(100), 2))
          .within(Duration.ofSeconds(2))
          .build();

  /** Makes the machine in another JVM. */
  public static final class Machine implements Supplier<MachineSpec> {
    @Override
    public MachineSpec get() {
      return SagaTopics.machine(LockstepConfig.of("none:1"), List.of(SAGA));
    }
  }

  private static SagaScenario<Order> reserved() {
    return SagaScenario.of(SAGA)
        .start("o-1", new Order("o-1", List.of("b", "a"), ""))
        .expectLocks("a", "b")
        .grant()
        .expectCommand("reserve", new Reserve("o-1"));
  }

  @Test
  void completes() {
    reserved()
        .succeed()
        .expectCommand("charge", new Charge("o-1"))
        .succeed(new Charged("R-7"))
        .expectCommand("ship", new Ship("o-1", "R-7"))
        .succeed()
        .expectCompleted();
  }

  @Test
  void rollsBack() {
    reserved()
        .succeed()
        .expectCommand("charge", new Charge("o-1"))
        .fail("card declined")
        .expectCompensation("reserve", new Release("o-1"))
        .succeed()
        .expectCompensated("charge", "card declined");
  }

  @Test
  void silentPivotIsSettledByCancel() {
    reserved()
        .succeed()
        .expectCommand("charge", new Charge("o-1"))
        .after(Duration.ofSeconds(3))
        .expectCancel("charge")
        .cancelled()
        .expectCompensation("reserve", new Release("o-1"))
        .succeed()
        .expectCompensated("charge", "No answer");
  }

  @Test
  void technicalFailureIsTriedAgain() {
    reserved()
        .retry(Duration.ofMillis(50), "database is down")
        .expectNothing()
        .after(Duration.ofSeconds(1))
        .expectCommand("reserve", new Reserve("o-1"));
  }

  @Test
  void parkedSagaGoesOnAfterAnOrder() {
    reserved()
        .succeed()
        .expectCommand("charge", new Charge("o-1"))
        .succeed(new Charged("R-7"))
        .expectCommand("ship", new Ship("o-1", "R-7"))
        .fail("no lorry")
        .expectParked("ship", "no lorry")
        .operate(OperatorAction.RETRY, "lorry is back")
        .expectCommand("ship", new Ship("o-1", "R-7"))
        .succeed()
        .expectCompleted();
  }

  @Test
  void failureTellsWhatWasExpectedWhatHappenedAndTheStory() {
    assertThatThrownBy(() -> reserved().succeed().expectCommand("ship", new Ship("o-1", "")))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("Expected command of 'ship' Ship[id=o-1, receipt=]")
        .hasMessageContaining("command of 'charge' something that is no Ship")
        .hasMessageContaining("locks are granted");
    assertThatThrownBy(() -> reserved().expectCompleted())
        .hasMessageContaining("Expected the end COMPLETED, but the saga did nothing");
    assertThatThrownBy(() -> SagaScenario.of(SAGA).succeed())
        .hasMessageContaining("an open question to answer");
  }

  @Test
  void definitionIsTheSameInAnotherJvm() {
    SagaScenario<Order> scenario = reserved().succeed();

    DoubleExecution.check(Machine.class, 0, scenario.log());
  }

  @Test
  void definitionThatIsNotPureIsCaught() {
    AtomicInteger calls = new AtomicInteger();
    Saga<Order> counting =
        Saga.named("counting", Order.class)
            .retriable("ship")
            .send(STOCK, o -> new Ship(o.id(), "call " + calls.incrementAndGet()))
            .build();

    assertThatThrownBy(
            () -> SagaScenario.of(counting).start("o-1", new Order("o-1", List.of(), "")))
        .isInstanceOf(ImpureMachineException.class);
  }
}
