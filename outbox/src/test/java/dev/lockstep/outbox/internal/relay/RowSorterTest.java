package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.Lane;
import dev.lockstep.outbox.OutboxException;
import dev.lockstep.outbox.PoisonPolicy;
import dev.lockstep.outbox.internal.relay.Parked.Blocked;
import dev.lockstep.outbox.internal.relay.RowSorter.Sorted;
import dev.lockstep.outbox.internal.write.TopicTable.Topic;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class RowSorterTest {

  private final FakeTopics topics = new FakeTopics();
  private final Map<Long, String> condemned = new HashMap<>();
  private final RowSorter sorter = new RowSorter(topics, Map.of(), condemned);
  private PoisonPolicy policy = PoisonPolicy.BLOCK_KEY;
  private long seq;

  @Test
  void everythingThatCanBeSentIsSentInItsOrder() {
    List<LedgerRow> page = List.of(row("t", "a"), row("t", "b"), row("t", null));

    Sorted sorted = sorter.sort(page);

    assertThat(sorted.sent()).isEqualTo(page);
    assertThat(sorted.passed()).isEqualTo(page);
    assertThat(sorted.asides()).isEmpty();
    assertThat(sorted.isWhole()).isTrue();
  }

  @Test
  void pageThatIsNotCleanIsOnlyLookedAt() {
    LedgerRow poison = row("t", "a");
    condemned.put(poison.seq(), "too large");
    List<LedgerRow> page = List.of(row("t", "b"), poison);

    assertThat(sorter.isClean(page.subList(0, 1))).isTrue();
    assertThat(sorter.isClean(page)).isFalse();
    assertThat(sorter.blocked()).isEmpty();
    assertThat(sorter.sort(page).asides()).hasSize(1);
    assertThat(sorter.isClean(List.of(row("t", "a")))).as("it waits behind its key").isFalse();
  }

  @Test
  void laterRowsOfABlockedKeyWaitBehindItAlsoInLaterPages() {
    LedgerRow poison = row("t", "a");
    condemned.put(poison.seq(), "too large");

    Sorted first = sorter.sort(List.of(poison, row("t", "b"), row("t", "a")));
    sorter.done(first.asides());
    Sorted second = sorter.sort(List.of(row("t", "a"), row("u", "a")));

    assertThat(first.sent()).extracting(LedgerRow::seq).containsExactly(2L);
    assertThat(first.asides()).extracting(Aside::waits).containsExactly(true, true);
    assertThat(first.blocks()).containsOnlyKeys(BlockKey.of("t", bytes("a")));
    assertThat(second.sent()).extracting(LedgerRow::topic).containsExactly("u");
    assertThat(condemned).isEmpty();
  }

  @Test
  void parkedRowHoldsUpNobody() {
    policy = PoisonPolicy.PARK;
    LedgerRow poison = row("t", "a");
    condemned.put(poison.seq(), "too large");

    Sorted sorted = sorter.sort(List.of(poison, row("t", "a")));

    assertThat(sorted.asides()).extracting(Aside::waits).containsExactly(false);
    assertThat(sorted.sent()).hasSize(1);
    assertThat(sorted.blocks()).isEmpty();
  }

  @Test
  void rowWithoutAKeyIsParkedAlone() {
    LedgerRow poison = row("t", null);
    condemned.put(poison.seq(), "too large");

    assertThat(sorter.sort(List.of(poison)).asides()).extracting(Aside::waits).containsOnly(false);
  }

  @Test
  void whatCameBeforeARowThatMayNotBePassedIsStillSent() {
    policy = PoisonPolicy.FAIL;
    LedgerRow before = row("t", "a");
    LedgerRow poison = row("t", "b");
    condemned.put(poison.seq(), "too large");

    Sorted sorted = sorter.sort(List.of(before, poison, row("t", "c")));

    assertThat(sorted.passed()).containsExactly(before);
    assertThat(sorted.isWhole()).isFalse();
    assertThatThrownBy(() -> sorter.sort(List.of(poison)))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("policy is FAIL: too large");
  }

  @Test
  void pageIsCutBeforeATopicThatIsAwayAndItsRowsArePutAsideWhenItStaysAway() {
    topics.fault = "no leader";
    LedgerRow before = row("t", "a");
    List<LedgerRow> page = List.of(before, row("away", "a"), row("t", "b"));

    Sorted waiting = sorter.sort(page);
    topics.givenUp = true;
    Sorted givenUp = sorter.sort(page);

    assertThat(waiting.passed()).containsExactly(before);
    assertThat(waiting.isWhole()).isFalse();
    assertThat(givenUp.sent()).hasSize(2);
    assertThat(givenUp.blocks()).containsOnlyKeys(new BlockKey("away", null));
    assertThat(givenUp.blocks().values()).allMatch(Blocked::probed);
  }

  @Test
  void topicIsBlockedWhenTooManyOfItsKeysAre() {
    List<LedgerRow> page = new ArrayList<>();
    for (int i = 0; i <= RowSorter.MOST_KEYS; i++) {
      LedgerRow row = row("t", "key-" + i);
      condemned.put(row.seq(), "no such partition");
      page.add(row);
    }
    page.add(row("t", "healthy"));

    Sorted sorted = sorter.sort(page);

    assertThat(sorted.sent()).isEmpty();
    assertThat(sorted.blocks()).containsKey(new BlockKey("t", null));
    assertThat(sorted.blocks()).hasSize(RowSorter.MOST_KEYS + 1);
  }

  private LedgerRow row(String topic, @Nullable String key) {
    return new LedgerRow(
        ++seq,
        UUID.randomUUID(),
        Lane.EXACTLY_ONCE.code(),
        topic,
        null,
        key == null ? null : bytes(key),
        new byte[1],
        List.of(),
        0,
        200,
        null);
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Knows topics t, u and away; the last one is as the test says. */
  private final class FakeTopics implements RowSorter.Topics {

    private @Nullable String fault;
    private boolean givenUp;

    @Override
    public Topic registered(String topic) {
      return new Topic(topic, Lane.EXACTLY_ONCE, 0, 1_000, policy);
    }

    @Override
    public int partitions(String topic) {
      return 3;
    }

    @Override
    public @Nullable String fault(String topic) {
      return topic.equals("away") ? fault : null;
    }

    @Override
    public boolean isGivenUp(String topic) {
      return topic.equals("away") && givenUp;
    }
  }
}
