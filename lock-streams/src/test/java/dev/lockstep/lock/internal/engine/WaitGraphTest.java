package dev.lockstep.lock.internal.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.lockstep.lock.internal.engine.WaitGraph.Circle;
import dev.lockstep.lock.internal.engine.Waiting.Holder;
import dev.lockstep.lock.internal.engine.Waiting.Task;
import dev.lockstep.lock.internal.engine.Waiting.Waiter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Who waits in a circle and who only waits. Tasks are named by letters, requests by numbers. */
class WaitGraphTest {

  private static final int ALL = Key.LOCK;

  private final List<Waiting> keys = new ArrayList<>();

  private static Holder holds(String task, long number, int permits) {
    return new Holder(
        new RequestId(task, number), new Task("client", task), task, permits, 100 + number);
  }

  private static Waiter waits(String task, long number, int permits) {
    return waits(task, number, permits, 0);
  }

  private static Waiter waits(String task, long number, int permits, int priority) {
    return new Waiter(
        new RequestId(task, number), new Task("client", task), task, permits, priority, number);
  }

  private void key(String name, int capacity, List<Holder> holders, Waiter... queue) {
    keys.add(new Waiting(name, capacity, holders, Arrays.asList(queue)));
  }

  private List<Circle> circles() {
    return new WaitGraph(keys).confirmed(new WaitGraph(keys));
  }

  @Test
  void twoThatWaitForEachOther() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));

    assertThat(circles())
        .singleElement()
        .satisfies(
            circle -> {
              assertThat(circle.victim()).isEqualTo(new RequestId("b", 4));
              assertThat(circle.key()).isEqualTo("x");
              assertThat(circle.text())
                  .contains("'b' (b) waits for 'x', which 'a' holds under token 101")
                  .contains("'a' (a) waits for 'y', which 'b' holds under token 102");
            });
  }

  @Test
  void lowestPriorityGivesUp() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL, 5));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL, 1));

    assertThat(circles()).extracting(Circle::victim).containsExactly(new RequestId("a", 3));
  }

  @Test
  void chainIsNoCircle() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("c", 5, ALL));

    assertThat(circles()).isEmpty();
  }

  @Test
  void taskThatWaitsForItself() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("a", 2, ALL));

    assertThat(circles()).extracting(Circle::victim).containsExactly(new RequestId("a", 2));
  }

  /** Nobody knows what else it does: it may give back. */
  @Test
  void holderWithoutTaskIsNoPartOfACircle() {
    key("x", ALL, List.of(holds("", 1, ALL)), waits("b", 4, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("", 3, ALL));

    assertThat(circles()).isEmpty();
  }

  @Test
  void oneOfSeveralHoldersMayGiveBack() {
    key("permits", 2, List.of(holds("a", 1, 1), holds("free", 9, 1)), waits("b", 4, 1));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));

    assertThat(circles()).isEmpty();
  }

  @Test
  void allHoldersWait() {
    key("permits", 2, List.of(holds("a", 1, 1), holds("c", 9, 1)), waits("b", 4, 1));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL), waits("c", 5, ALL));

    assertThat(circles()).hasSize(1);
  }

  /** One who wants to share waits for one before it who wants to be alone. */
  @Test
  void circleThroughAQueue() {
    key("x", ALL, List.of(holds("c", 1, 1)), waits("b", 4, ALL), waits("a", 5, 1));
    key("y", ALL, List.of(holds("a", 2, ALL)), waits("c", 3, ALL));

    assertThat(circles())
        .singleElement()
        .satisfies(
            circle -> {
              assertThat(circle.victim()).isEqualTo(new RequestId("a", 5));
              assertThat(circle.text()).contains("which 'b' waits for before");
            });
  }

  @Test
  void whoWaitsForACircleIsNotEnded() {
    key(
        "x",
        ALL,
        List.of(holds("a", 1, ALL)),
        waits("b", 4, ALL),
        waits("late", 7, ALL),
        waits("later", 8, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));

    assertThat(circles()).extracting(Circle::victim).containsExactly(new RequestId("b", 4));
  }

  /** Partitions are read one after the other: the grant that closes the circle may be another. */
  @Test
  void circleOfAnotherGrantIsNotConfirmed() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));
    WaitGraph before = new WaitGraph(List.copyOf(keys));
    keys.remove(1);
    key("y", ALL, List.of(holds("b", 6, ALL)), waits("a", 3, ALL));

    assertThat(new WaitGraph(keys).confirmed(before)).isEmpty();
  }

  @Test
  void circleIsConfirmedWhateverQueuesUpBehindIt() {
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL));
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));
    WaitGraph before = new WaitGraph(List.copyOf(keys));
    keys.remove(0);
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("b", 4, ALL), waits("late", 7, ALL));

    assertThat(new WaitGraph(keys).confirmed(before)).hasSize(1);
  }

  /** Somebody of high priority polls a key of the circle: another request at each look. */
  @Test
  void circleIsConfirmedWhoeverPassesByInTheQueue() {
    key("y", ALL, List.of(holds("b", 2, ALL)), waits("a", 3, ALL));
    List<Waiting> earlier = new ArrayList<>(keys);
    earlier.add(
        new Waiting(
            "x",
            ALL,
            List.of(holds("a", 1, ALL)),
            List.of(waits("p", 7, ALL, 9), waits("b", 4, ALL))));
    key("x", ALL, List.of(holds("a", 1, ALL)), waits("p", 8, ALL, 9), waits("b", 4, ALL));

    assertThat(new WaitGraph(keys).confirmed(new WaitGraph(earlier))).hasSize(1);
  }

  /** A look must cost what its queues are long, not their square. */
  @Test
  void longQueueIsLookedAtOnce() {
    Waiter[] queue = new Waiter[100_000];
    for (int i = 0; i < queue.length; i++) {
      queue[i] = waits("w" + i, 10 + i, ALL);
    }
    key("hot", ALL, List.of(holds("a", 1, ALL)), queue);

    assertThat(circles()).isEmpty();
    key("y", ALL, List.of(holds("w0", 2, ALL)), waits("a", 3, ALL));
    assertThat(circles()).hasSize(1);
  }
}
