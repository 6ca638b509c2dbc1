package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.lockstep.outbox.OutboxException;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class RowIdsTest {

  @Test
  void remembersMarksAsAMapDoes() {
    Random random = new Random(20261122);
    Map<UUID, Integer> expected = new HashMap<>();
    RowIds ids = new RowIds(100_000);
    for (int i = 0; i < 200_000; i++) {
      // ids that differ in few bits, and 0, are ids as well
      UUID id = new UUID(random.nextInt(40), random.nextInt(2_000) - 5L);
      int mark = 1 << random.nextInt(7);
      int before = expected.getOrDefault(id, 0);
      assertThat(ids.mark(id, mark)).isEqualTo((before & mark) == 0);
      expected.put(id, before | mark);
    }
    expected.forEach((id, marks) -> assertThat(ids.marks(id)).isEqualTo(marks));
    assertThat(ids.marks(new UUID(41, 0))).isZero();
    assertThat(ids.count(RowIds.LEDGER | RowIds.FOUND))
        .isEqualTo(
            expected.values().stream()
                .filter(marks -> (marks & RowIds.LEDGER) != 0 && (marks & RowIds.FOUND) != 0)
                .count());
  }

  @Test
  void refusesMoreThanItsBound() {
    RowIds ids = new RowIds(2);
    assertThat(ids.mark(new UUID(0, 1), RowIds.LEDGER)).isTrue();
    assertThat(ids.mark(new UUID(0, 2), RowIds.LEDGER)).isTrue();
    assertThat(ids.mark(new UUID(0, 2), RowIds.FOUND)).isTrue();
    assertThatThrownBy(() -> ids.mark(new UUID(0, 3), RowIds.LEDGER))
        .isInstanceOf(OutboxException.class)
        .hasMessageContaining("More than 2 rows");
  }
}
