package dev.lockstep.outbox.internal.relay;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.Test;

class RelayPositionTest {

  private final RelayPosition drained = RelayPosition.START.drained("5:9:5,7", rows(20));

  @Test
  void rowOfATransactionThatWasOpenIsNotPassed() {
    assertThat(drained.hasPassed(6, 20)).isTrue();
    assertThat(drained.hasPassed(8, 3)).isTrue();
    assertThat(drained.hasPassed(5, 3)).isFalse();
    assertThat(drained.hasPassed(7, 3)).isFalse();
    assertThat(drained.hasPassed(9, 3)).isFalse();
  }

  /** A server that crashed handed the id of its transaction out again. */
  @Test
  void numberAboveAllThatWerePublishedIsNotPassed() {
    assertThat(drained.hasPassed(6, 21)).isFalse();
  }

  @Test
  void windowIsPassedAsFarAsItIsPublished() {
    RelayPosition within = drained.within("7:12:7", rows(15));
    assertThat(within.hasPassed(10, 15)).isTrue();
    assertThat(within.hasPassed(10, 16)).isFalse();
    assertThat(within.hasPassed(7, 15)).isFalse();
    assertThat(within.hasPassed(6, 20)).as("it was before").isTrue();
  }

  private static List<LedgerRow> rows(long seq) {
    return List.of(
        new LedgerRow(seq, new UUID(0, seq), 0, "topic", null, null, null, List.of(), 0, 0, null));
  }
}
